"""A plain baseline: convolutions on the finest features; what lies deeper is not looked at.

`layers` of `mid_channels` filters each, of any `kernel` and `dilation`, with a choice of
`activation`; `model.norm` names their norm, and `batch_norm: false` leaves it out.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 16, 8, 4)
_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
}


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 64,
    layers: Annotated[int, Field(ge=1, le=16)] = 3,
    kernel: Literal[3, 5, 7] = 3,
    dilation: Annotated[int, Field(ge=1, le=64)] = 1,
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu"] = "relu",
    batch_norm: bool = True,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    widths = [pyramid.channels[0], *[mid_channels] * layers]
    reach = dilation * (kernel // 2)
    parts = [
        nn.Sequential(
            nn.Conv2d(
                inputs, outputs, kernel, padding=reach, dilation=dilation, bias=not batch_norm
            ),
            *([nn.BatchNorm2d(outputs)] if batch_norm else []),
            _ACTIVATIONS[activation](),
        )
        for inputs, outputs in pairwise(widths)
    ]
    return _Cnn(nn.Sequential(*parts, nn.Dropout(dropout), nn.Conv2d(mid_channels, classes, 1)))


class _Cnn(nn.Module):
    def __init__(self, head: nn.Sequential) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: list[Tensor]) -> tuple[Tensor, None]:
        """Logits at the finest stride; there are no auxiliary ones."""
        return self.head(features[0]), None
