"""DeepLabV3: atrous spatial pyramid pooling over dilated features (Chen et al. 2017).

Follows torchvision, with the paper's atrous rates for the output stride: 12, 24, 36 at stride 8
and 6, 12, 18 at stride 16. The auxiliary head is torchvision's FCN head on the third stage.

`atrous_rates` sets others. A rate as large as the feature map would leave a 3×3 kernel nothing but
its middle (section 3.3 of the paper), so that it is refused unless it is the default.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import AtrousPyramid, conv_bn_relu, fcn_head

OUTPUT_STRIDES = (8, 16)
NORMALISES = "image"
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    aux: bool = True,
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
        separable=False,
    )
    return _DeepLabV3(pyramid, classes, aspp, mid_channels=mid_channels, aux=aux)


class _DeepLabV3(nn.Module):
    def __init__(
        self, pyramid: Pyramid, classes: int, aspp: nn.Module, *, mid_channels: int, aux: bool
    ) -> None:
        super().__init__()
        self.aspp = aspp
        self.head = nn.Sequential(
            *conv_bn_relu(mid_channels, mid_channels, kernel=3),
            nn.Conv2d(mid_channels, classes, 1),
        )
        self.aux = fcn_head(pyramid.channels[-2], classes) if aux else None

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits and auxiliary logits at the output stride."""
        aux = self.aux(features[-2]) if self.aux is not None and self.training else None
        return self.head(self.aspp(features[-1])), aux
