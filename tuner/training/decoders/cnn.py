"""A plain baseline: 3×3 convolutions on the finest features; what lies deeper is not looked at."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from tuner.training.backbone import Pyramid
from tuner.training.layers import conv_bn_relu

OUTPUT_STRIDES = (32, 16, 8, 4)


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 64,
    layers: Annotated[int, Field(ge=1, le=16)] = 3,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    widths = [pyramid.channels[0], *[mid_channels] * layers]
    convolutions = [conv_bn_relu(inputs, outputs, kernel=3) for inputs, outputs in pairwise(widths)]
    return _Cnn(
        nn.Sequential(*convolutions, nn.Dropout(dropout), nn.Conv2d(mid_channels, classes, 1))
    )


class _Cnn(nn.Module):
    def __init__(self, head: nn.Sequential) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: list[Tensor]) -> tuple[Tensor, None]:
        """Logits at the finest stride; there are no auxiliary ones."""
        return self.head(features[0]), None
