"""Puts encoder and decoder together: N×C×H×W images to N×K×H×W logits."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tuner.configs import catalog
from tuner.configs.traits import DecoderTraits
from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.training import draws
from tuner.training.network import norms, weights
from tuner.training.network.encoder import Encoder
from tuner.training.network.resize import resize

_RGB = 3
_INITIALISERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    # Fan-in, because fan-out overstates a depthwise kernel by its number of groups.
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
}


class SegmentationModel(nn.Module):
    """A whole network; it carries the mean and std that it normalises images with.

    With `keeps_statistics`, batch norms use the statistics that they have, in training too.
    `align_corners` is how logits are resized, here and where they are scored.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: Encoder,
        decoder: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        keeps_statistics: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.initial_weights: Mapping[str, Any] = {}  # where they are from, for the provenance
        self.pruning: Mapping[str, Any] = {}  # how it lost channels, if it did
        self.align_corners = align_corners
        self._keeps_statistics = keeps_statistics
        self._is_encoder_frozen = False

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return int(self.mean.shape[1])

    def coarse(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits and auxiliary logits at the decoder's stride."""
        features = self.encoder((images - self.mean) / self.std)  # N×Cᵢ×⌈H/sᵢ⌉×⌈W/sᵢ⌉, finest first
        # N×K×h×w at the decoder's stride; auxiliary logits at another, or none.
        logits, aux = cast(tuple[Tensor, Tensor | None], self.decoder(features))
        # A decoder that goes up to the image's own stride has computed the padding too.
        return logits[..., : images.shape[-2], : images.shape[-1]], aux

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits and auxiliary logits at the size of the images."""
        size = (images.shape[-2], images.shape[-1])
        logits, aux = self.coarse(images)
        resized = partial(resize, size=size, align_corners=self.align_corners)
        return resized(logits), None if aux is None else resized(aux)

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        if self._is_encoder_frozen:
            self.encoder.eval()
        if self._keeps_statistics:
            norms.keep_statistics(self)
        return self

    def freeze_encoder(self, frozen: bool) -> None:
        """Stop the encoder from learning, its statistics and random parts included, or let it."""
        self._is_encoder_frozen = frozen
        self.encoder.requires_grad_(not frozen)
        self.train(self.training)


def freeze(model: SegmentationModel, frozen: bool) -> None:
    """Freeze or unfreeze the encoder; call it whenever an epoch begins, after a resume too."""
    model.freeze_encoder(frozen)


def build(
    config: TrialConfig,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    roots: Sequence[Path] = (),
) -> SegmentationModel:
    """The network of a config with its initial weights, which depend on the seed alone.

    `mean` and `std` are the training images' own, one per channel, in the images' own unit; RGB
    weights from elsewhere come with theirs. A weights file must lie under one of `roots`.

    Raises:
        DataError: the weights file is not there.
        TrainingError: the weights cannot be fetched or do not fit.
    """
    settings = config.model
    given = settings.weights != "none"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.seed_of(config.seed, "init"))
        encoder = _encoder(config, len(mean))
        decoder = _decoder(config, encoder)
        if given and len(mean) == _RGB:
            mean, std = encoder.published_statistics()
        model = SegmentationModel(
            encoder,
            decoder,
            mean=mean,
            std=std,
            keeps_statistics=settings.norm == "frozen",
            align_corners=bool(settings.options.get("align_corners")),
        )
        if settings.norm == "group":
            norms.to_groups(model)
        _initialise(model.decoder if given else model, config.training.init)
        if settings.weights == "pretrained":
            model.initial_weights = encoder.published_weights()
        elif given:
            path = weights.locate(settings.weights, roots)
            found = weights.load(
                model, path, encoder=settings.encoder, classes=len(config.dataset.classes)
            )
            model.initial_weights = found.facts()
    return model


def parameter_count(model: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def _encoder(config: TrialConfig, channels: int) -> Encoder:
    settings = config.model
    module = catalog.load("encoder", settings.encoder)
    stride = settings.output_stride
    if stride is None:
        raise TrainingError("model.output_stride is not set; resolve the config first")
    pretrained = settings.weights == "pretrained"
    options = _options(config, "encoder", settings.encoder)
    finest = catalog.traits(DecoderTraits, settings.decoder).finest_stride
    built = module.build(settings.encoder, stride, pretrained, channels, finest, **options)
    return cast(Encoder, built)


def _decoder(config: TrialConfig, encoder: Encoder) -> nn.Module:
    name = config.model.decoder
    options = _options(config, "decoder", name)
    classes = len(config.dataset.classes)
    build = catalog.load("decoder", name).build
    return cast(nn.Module, build(encoder.pyramid, classes, **options))


def _options(config: TrialConfig, kind: str, name: str) -> dict[str, Any]:
    """The options of one component: encoder and decoder share a section."""
    given = config.model.options
    return {key: given[key] for key in catalog.find(kind, name).options if key in given}


def _initialise(model: nn.Module, name: str) -> None:
    draw = _INITIALISERS[name]
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
