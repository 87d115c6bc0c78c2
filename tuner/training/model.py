"""Puts encoder and decoder together: N×3×H×W images in 0 … 255 to N×K×H×W logits."""

import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tuner import catalog
from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.training import draws, paths
from tuner.training.backbone import Encoder
from tuner.training.resize import resize

_logger = logging.getLogger(__name__)
_INITIALISERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    # Fan-in, because fan-out overstates a depthwise kernel by its number of groups.
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
}


class Segmenter(nn.Module):
    """A whole network; it carries the mean and deviation that it normalises images with."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, encoder: Encoder, decoder: nn.Module, *, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def coarse(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits and auxiliary logits at the decoder's stride."""
        features = self.encoder((images - self.mean) / self.std)
        return cast(tuple[Tensor, Tensor | None], self.decoder(features))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits and auxiliary logits at the size of the images."""
        size = (images.shape[-2], images.shape[-1])
        logits, aux = self.coarse(images)
        return resize(logits, size), None if aux is None else resize(aux, size)


def build(
    config: TrialConfig,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    roots: Sequence[Path] = (),
) -> Segmenter:
    """The network of a config with its initial weights, which depend on the seed alone.

    `mean` and `std` are the training images' own, in 0 … 255; weights from elsewhere come with
    theirs. A weights file must lie under one of `roots`.

    Raises:
        DataError: the weights file is not there.
        TrainingError: the weights cannot be fetched or do not fit.
    """
    settings = config.model
    given = settings.weights != "none"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.seed_of(config.seed, "init"))
        encoder = _encoder(config)
        decoder = _decoder(config, encoder)
        if given:
            mean, std = _statistics_of(encoder)
        model = Segmenter(encoder, decoder, mean=mean, std=std)
        _initialise(model.decoder if given else model, config.training.init)
        if settings.weights not in ("none", "pretrained"):
            path = paths.allowed(settings.weights, roots, what="weights file")
            load_weights(model, path)
    return model


def load_weights(model: Segmenter, path: Path) -> None:
    """Load a whole model or an encoder's state dict; a decoder of another shape stays as it is.

    Raises:
        TrainingError: the file is no state dict, or lacks a tensor of the encoder.
    """
    state = _tensors(path)
    if not any(name.startswith("encoder.") for name in state):
        state = {f"encoder.net.{name}": tensor for name, tensor in state.items()}
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if name in own and own[name].shape == tensor.shape
    }
    missing = [name for name in own if name.startswith("encoder.") and name not in fitting]
    if missing:
        raise TrainingError(
            f"weights file {path.name} lacks {len(missing)} tensors of the encoder, or has them in "
            f"another shape, first {missing[0].removeprefix('encoder.net.')}; use weights of the "
            "encoder that the config names"
        )
    model.load_state_dict(fitting, strict=False)
    _logger.info("loaded %d of %d tensors from %s", len(fitting), len(own), path.name)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def _encoder(config: TrialConfig) -> Encoder:
    settings = config.model
    module = catalog.load("encoder", settings.encoder)
    stride = settings.output_stride
    if stride is None:
        raise TrainingError("model.output_stride is not set; resolve the config first")
    pretrained = settings.weights == "pretrained"
    options = _options(config, "encoder", settings.encoder)
    return cast(Encoder, module.build(settings.encoder, stride, pretrained, **options))


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


def _statistics_of(encoder: Encoder) -> tuple[list[float], list[float]]:
    """Mean and deviation in 0 … 255 that the published weights of an encoder were trained with."""
    published = cast(Any, encoder.net).pretrained_cfg
    mean, std = (published[name] for name in ("mean", "std"))
    return [255 * value for value in mean], [255 * value for value in std]


def _initialise(model: nn.Module, name: str) -> None:
    draw = _INITIALISERS[name]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"weights file {path.name} cannot be read: {error}") from error
    for key in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise TrainingError(f"weights file {path.name} holds no state dict of tensors")
    return loaded
