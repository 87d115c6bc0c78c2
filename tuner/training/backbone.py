"""What encoders hand to decoders: four feature maps and their shape, on top of timm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import timm
from torch import Tensor, nn

from tuner.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Channels and strides of an encoder's features, finest first, and the stride that is decoded.

    `output_stride` equals the last stride, unless the encoder keeps parallel branches (HRNet): then
    it is the first, and a decoder fuses all branches there.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    output_stride: int

    @property
    def is_parallel(self) -> bool:
        """Whether the finest feature map is as deep as the coarsest."""
        return self.output_stride == self.strides[0]


class Encoder(nn.Module):
    """A timm feature extractor with its pyramid: N×3×H×W to a list of N×Cᵢ×⌈H/sᵢ⌉×⌈W/sᵢ⌉."""

    def __init__(self, net: nn.Module, pyramid: Pyramid) -> None:
        super().__init__()
        self.net = net
        self.pyramid = pyramid

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features, finest first."""
        return cast(list[Tensor], self.net(images))


def create(model: str, *, pretrained: bool, **options: Any) -> nn.Module:
    """A timm model that gives its features at strides 4 and coarser.

    Raises:
        TrainingError: the pretrained weights could not be fetched.
    """
    options |= {"features_only": True, "out_indices": (1, 2, 3, 4), "pretrained": pretrained}
    if not pretrained:
        return timm.create_model(model, **options)
    try:
        return timm.create_model(model, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the pretrained weights of {model} could not be fetched ({error}); put them on this "
            "machine and name the file in model.weights, or use weights: none"
        ) from error


def channels_of(net: nn.Module) -> tuple[int, ...]:
    """Channels of each feature map of a timm feature extractor."""
    return tuple(cast(Sequence[int], cast(Any, net).feature_info.channels()))


def strides_of(net: nn.Module) -> tuple[int, ...]:
    """Stride of each feature map of a timm feature extractor."""
    return tuple(cast(Sequence[int], cast(Any, net).feature_info.reduction()))
