"""DeepLabV3+: separable pyramid pooling, then a merge with stride-4 features (Chen et al. 2018).

Atrous rates follow the paper: 6, 12, 18 at output stride 16 and 12, 24, 36 at stride 8.
`atrous_rates` sets others, as in `deeplabv3`.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import AtrousPyramid, conv_bn_relu, fcn_head, separable_bn_relu
from tuner.training.network.resize import resize

OUTPUT_STRIDES = (16, 8)
NORMALISES = "image"
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    low_channels: Annotated[int, Field(ge=4, le=512)] = 48,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    aux: bool = False,
    atrous_rates: Annotated[
        tuple[Annotated[int, Field(ge=1, le=512)], ...], Field(min_length=1, max_length=8)
    ]
    | None = None,
) -> nn.Module:
    """The decoder for an encoder's pyramid; a pyramid level for each of the rates."""
    aspp = AtrousPyramid(
        pyramid.channels[-1],
        mid_channels,
        rates=atrous_rates or RATES[pyramid.output_stride],
        dropout=dropout,
        separable=True,
    )
    return _DeepLabV3Plus(pyramid, classes, aspp, widths=(mid_channels, low_channels), aux=aux)


class _DeepLabV3Plus(nn.Module):
    def __init__(
        self,
        pyramid: Pyramid,
        classes: int,
        aspp: nn.Module,
        *,
        widths: tuple[int, int],
        aux: bool,
    ) -> None:
        super().__init__()
        middle, low = widths
        self.aspp = nn.Sequential(aspp, separable_bn_relu(middle, middle))
        self.low = conv_bn_relu(pyramid.channels[0], low)
        self.merge = separable_bn_relu(middle + low, middle)
        self.head = nn.Conv2d(middle, classes, 1)
        self.aux = fcn_head(pyramid.channels[-2], classes) if aux else None

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits at stride 4 and auxiliary logits at the output stride."""
        aux = self.aux(features[-2]) if self.aux is not None and self.training else None
        fine = self.low(features[0])  # N×low×H/4×W/4, few channels so that they do not outweigh
        coarse = resize(self.aspp(features[-1]), (fine.shape[-2], fine.shape[-1]))  # N×mid×H/4×W/4
        return self.head(self.merge(torch.cat([coarse, fine], dim=1))), aux
