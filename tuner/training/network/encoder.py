"""What encoders hand to decoders: feature maps and their shape, on top of timm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import timm
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn import functional

from tuner.errors import TrainingError, WeightsUnavailable
from tuner.training import paths
from tuner.training.network.tracing import ceil_div, is_traced


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Channels and strides of an encoder's features, finest first, and the stride that is decoded.

    `output_stride` equals the last stride, unless the encoder keeps parallel branches (HRNet): then
    it is 4, and a decoder fuses all branches there.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    output_stride: int

    @property
    def is_parallel(self) -> bool:
        """Whether the finest feature map is as deep as the coarsest."""
        return self.output_stride < self.strides[-1]


class Encoder(nn.Module):
    """A feature extractor with its pyramid: N×C×H×W to a list of N×Cᵢ×⌈H/sᵢ⌉×⌈W/sᵢ⌉.

    Features that the network gives before those of the pyramid are not handed on. With `multiple`,
    images are padded with zeros, the mean, to multiples of it and the features are cut again: for
    networks that would round a size down, or cannot take every size.
    """

    def __init__(self, net: nn.Module, pyramid: Pyramid, *, multiple: int = 1) -> None:
        super().__init__()
        self.net = net
        self.pyramid = pyramid
        self._multiple = multiple

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features, finest first."""
        height, width = images.shape[-2:]  # of N×C×H×W
        below, right = (
            ceil_div(side, self._multiple) * self._multiple - side for side in (height, width)
        )
        if self._multiple > 1 and (is_traced() or below or right):
            images = functional.pad(images, (0, right, 0, below))
        features = cast(list[Tensor], self.net(images))[-len(self.pyramid.strides) :]
        if self._multiple == 1:
            return features
        # Cut to ⌈H/s⌉×⌈W/s⌉, as a network without padding has them.
        return [
            feature[..., : ceil_div(height, stride), : ceil_div(width, stride)]
            for feature, stride in zip(features, self.pyramid.strides, strict=True)
        ]

    def published_statistics(self) -> tuple[list[float], list[float]]:
        """Mean and deviation of RGB in 0 … 255 that the published weights were trained with."""
        known = getattr(self.net, "pretrained_cfg", None) or {}
        mean = known.get("mean", IMAGENET_DEFAULT_MEAN)
        std = known.get("std", IMAGENET_DEFAULT_STD)
        return [255 * value for value in mean], [255 * value for value in std]

    def published_weights(self) -> dict[str, str]:
        """Which published weights the network has, for the provenance."""
        known = getattr(self.net, "pretrained_cfg", None) or {}
        names = [known.get(part) for part in ("architecture", "tag")]
        source = ".".join(name for name in names if name) or "its library's"
        return {"source": source, "report": f"published ones, {source}"}


def create(model: str, *, pretrained: bool, channels: int = 3, **options: Any) -> nn.Module:
    """A timm feature extractor; pretrained RGB stems are repeated and rescaled to the channels.

    Raises:
        WeightsUnavailable: the pretrained weights could not be fetched.
        TrainingError: none are published.
    """
    options |= {"features_only": True, "in_chans": channels, "pretrained": pretrained}
    if not pretrained:
        return timm.create_model(model, **options)
    try:
        return timm.create_model(model, **options)
    except Exception as error:  # the hub's client has errors of its own, and those of its library
        raise unfetched(model, error) from error


def unfetched(model: str, error: Exception) -> TrainingError | OSError:
    """The error for published weights that did not come; never is another network trained."""
    if isinstance(error, OSError) and error.errno in paths.FULL:
        return error
    if isinstance(error, RuntimeError | ValueError | TypeError) and not isinstance(error, OSError):
        return TrainingError(
            f"the pretrained weights of {model} cannot be loaded: {error}; name a file in "
            "model.weights, or use weights: none"
        )
    return WeightsUnavailable(
        f"the pretrained weights of {model} could not be fetched ({error}); offline, put them on "
        "this machine and name the file in model.weights, fill its Hugging Face cache (HF_HOME), "
        "or use weights: none"
    )


def dilated(
    model: str, output_stride: int, *, pretrained: bool, channels: int, finest_stride: int
) -> Encoder:
    """A timm network whose stages below `output_stride` dilate instead of striding."""
    indices = (0, 1, 2, 3, 4) if finest_stride == 2 else (1, 2, 3, 4)
    net = create(
        model,
        pretrained=pretrained,
        channels=channels,
        output_stride=output_stride,
        out_indices=indices,
    )
    return Encoder(net, Pyramid(channels_of(net), strides_of(net), output_stride))


def channels_of(net: nn.Module) -> tuple[int, ...]:
    """Channels of each feature map of a timm feature extractor."""
    return tuple(cast(Sequence[int], cast(Any, net).feature_info.channels()))


def strides_of(net: nn.Module) -> tuple[int, ...]:
    """Stride of each feature map of a timm feature extractor."""
    return tuple(cast(Sequence[int], cast(Any, net).feature_info.reduction()))
