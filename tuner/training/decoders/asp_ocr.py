"""OCR beside atrous spatial pyramid pooling (Yuan, Chen and Wang 2020, as openseg publishes it).

Object context takes the place of DeepLabV3's image pooling: it stands beside a 1×1 and dilated 3×3
convolutions of the last stage, and all are concatenated and reduced. The auxiliary head on the
third stage gives the regions. Atrous rates are DeepLabV3's, and openseg trains at stride 8 with
12, 24, 36; `atrous_rates` sets others, as in `deeplabv3`.

`align_corners` is how logits are resized, as for `ocr`: openseg's weights want it on.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from tuner.training.decoders._object_context import ObjectAttention, gather
from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import conv_bn_relu

OUTPUT_STRIDES = (8, 16)
NORMALISES = "coarsest"
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
_REGIONS = 512  # channels of the auxiliary head


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    key_channels: Annotated[int, Field(ge=8, le=2048)] = 128,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    atrous_rates: Annotated[
        tuple[Annotated[int, Field(ge=1, le=512)], ...], Field(min_length=1, max_length=8)
    ]
    | None = None,
    align_corners: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid; a pyramid level for each of the rates."""
    rates = atrous_rates or RATES[pyramid.output_stride]
    widths = (mid_channels, key_channels)
    return _AspOcr(pyramid, classes, rates, widths=widths, dropout=dropout)


class _AspOcr(nn.Module):
    def __init__(
        self,
        pyramid: Pyramid,
        classes: int,
        rates: Sequence[int],
        *,
        widths: tuple[int, int],
        dropout: float,
    ) -> None:
        super().__init__()
        middle, key = widths
        layer = partial(conv_bn_relu, bias=True)  # as published, though batch norms follow
        deep, shallow = pyramid.channels[-1], pyramid.channels[-2]
        self.regions = nn.Sequential(
            *layer(shallow, _REGIONS, kernel=3),
            nn.Dropout2d(dropout),
            nn.Conv2d(_REGIONS, classes, 1),
        )
        self.reduce = layer(deep, middle, kernel=3)
        self.attention = ObjectAttention(middle, key, bias=True)
        dilated = [layer(deep, middle, kernel=3, dilation=rate) for rate in rates]
        self.branches = nn.ModuleList([layer(deep, middle), *dilated])
        count = 1 + len(self.branches)
        self.fuse = nn.Sequential(*layer(count * middle, middle), nn.Dropout2d(dropout))
        self.head = nn.Conv2d(middle, classes, 1)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and region logits at the output stride."""
        deep = features[-1]
        regions = self.regions(features[-2])  # N×K×h×w, soft object regions
        pixels = self.reduce(deep)  # N×mid×h×w
        context = self.attention(pixels, gather(pixels, regions))
        # Context, 1×1 and each dilated 3×3: N×(2 + rates)·mid×h×w side by side.
        parts = [context, *[branch(deep) for branch in self.branches]]
        return self.head(self.fuse(torch.cat(parts, dim=1))), regions
