"""FCN: a small convolutional head on the deepest features (Long, Shelhamer and Darrell 2015).

Follows torchvision, auxiliary head included. On HRNet, whose branches are all deep, it is the head
of HRNetV2: the branches side by side at stride 4, a 1×1 convolution and the classifier. Its
published weights want `align_corners`, which is how the whole network resizes, as for `ocr`.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import conv_bn_relu, fcn_head, joined

OUTPUT_STRIDES = (8, 16, 32, 4)
NORMALISES = "coarsest"


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    aux: bool = True,
    align_corners: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    return _Fcn(pyramid, classes, dropout=dropout, aux=aux, align_corners=align_corners)


class _Fcn(nn.Module):
    def __init__(
        self, pyramid: Pyramid, classes: int, *, dropout: float, aux: bool, align_corners: bool
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.is_parallel = pyramid.is_parallel
        if self.is_parallel:
            width = sum(pyramid.channels)
            self.head = nn.Sequential(
                *conv_bn_relu(width, width), nn.Dropout(dropout), nn.Conv2d(width, classes, 1)
            )
        else:
            self.head = fcn_head(pyramid.channels[-1], classes, dropout=dropout)
        self.aux = fcn_head(pyramid.channels[-2], classes) if aux else None

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits at the output stride, and auxiliary logits at the third stage's."""
        aux = self.aux(features[-2]) if self.aux is not None and self.training else None
        if self.is_parallel:
            return self.head(joined(features, align_corners=self.align_corners)), aux
        return self.head(features[-1]), aux
