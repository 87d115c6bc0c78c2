"""OCRNet: object-contextual representations (Yuan, Chen and Wang 2020).

Follows the authors' HRNet-OCR code: soft object regions from an auxiliary head, their features
gathered with a softmax over pixels, and attention from each pixel to the K regions. On HRNet the
four branches are concatenated at stride 4; on a dilated encoder the last stage is used and the
auxiliary head stands on the third. `mid_channels` 256 with `key_channels` 128 suits small encoders.

`align_corners` is how the whole network resizes: HRNet's exchanges, its branches here, and logits
to the image. It is off by default, because images and masks are resized so, and because sides that
the encoder's stride divides keep their place then; mmsegmentation and PaddleSeg train so. The
weights of the authors (HRNet-OCR) and of openseg were trained with it on: switch it on for them.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from tuner.training.decoders._object_context import ObjectAttention, gather
from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import conv_bn_relu, joined

OUTPUT_STRIDES = (4, 8, 16)
NORMALISES = "coarsest"


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 512,
    key_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05,
    align_corners: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    widths = (mid_channels, key_channels)
    return _ObjectContext(
        pyramid, classes, widths=widths, dropout=dropout, align_corners=align_corners
    )


class _ObjectContext(nn.Module):
    def __init__(
        self,
        pyramid: Pyramid,
        classes: int,
        *,
        widths: tuple[int, int],
        dropout: float,
        align_corners: bool,
    ) -> None:
        super().__init__()
        middle, key = widths
        self.align_corners = align_corners
        self.is_parallel = pyramid.is_parallel
        if self.is_parallel:
            deep = sum(pyramid.channels)
            regions = conv_bn_relu(deep, deep, bias=True)
        else:
            deep, shallow = pyramid.channels[-1], pyramid.channels[-2]
            regions = conv_bn_relu(shallow, middle, kernel=3, bias=True)
            regions.append(nn.Dropout2d(dropout))
        self.regions = regions.append(nn.Conv2d(deep if self.is_parallel else middle, classes, 1))
        self.reduce = conv_bn_relu(deep, middle, kernel=3, bias=True)
        self.attention = ObjectAttention(middle, key)
        self.fuse = nn.Sequential(*conv_bn_relu(2 * middle, middle), nn.Dropout2d(dropout))
        self.head = nn.Conv2d(middle, classes, 1)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits and region logits at the output stride."""
        deep, shallow = self._inputs(features)
        regions = self.regions(shallow)  # N×K×h×w, soft object regions; the auxiliary logits too
        pixels = self.reduce(deep)  # N×mid×h×w
        context = self.attention(pixels, gather(pixels, regions))  # N×mid×h×w, from N×mid×K×1
        return self.head(self.fuse(torch.cat([context, pixels], dim=1))), regions

    def _inputs(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        if not self.is_parallel:
            return features[-1], features[-2]
        both = joined(features, align_corners=self.align_corners)
        return both, both
