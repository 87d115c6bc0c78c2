"""PSPNet: the deepest features pooled to grids of 1, 2, 3 and 6 (Zhao et al. 2017).

Built by segmentation_models_pytorch, on dilated features as in the paper.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (8, 16, 32)
NORMALISES = "coarsest"


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 512,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    aux: bool = True,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    decoder = PSPDecoder(widths_of(pyramid), out_channels=mid_channels, dropout=dropout)
    head = nn.Conv2d(mid_channels, classes, 3, padding=1)
    return SmpDecoder(pyramid, decoder, head, aux=aux)
