"""FPN: a feature pyramid whose levels are summed at stride 4 (Kirillov et al. 2019).

Built by segmentation_models_pytorch.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 4)


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    pyramid_channels: Annotated[int, Field(ge=32, le=2048)] = 256,
    segmentation_channels: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] = 128,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    aux: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    decoder = FPNDecoder(
        widths_of(pyramid),
        pyramid_channels=pyramid_channels,
        segmentation_channels=segmentation_channels,
        dropout=dropout,
    )
    head = nn.Conv2d(segmentation_channels, classes, 1)
    return SmpDecoder(pyramid, decoder, head, aux=aux)
