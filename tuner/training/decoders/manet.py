"""MA-Net: a U-Net with attention over positions and over skip channels (Fan et al. 2020).

Built by segmentation_models_pytorch. The attention over positions takes memory with the square of
the number of positions at the coarsest stride.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.manet.decoder import MAnetDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, halving, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 4)
NORMALISES = "coarsest"
FINEST_STRIDE = 2


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    key_channels: Annotated[int, Field(ge=8, le=2048)] = 64,
    aux: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid; `mid_channels` is the widest of five widths."""
    widths = halving(mid_channels)
    decoder = MAnetDecoder(widths_of(pyramid), widths, n_blocks=5, pab_channels=key_channels)
    head = nn.Conv2d(widths[-1], classes, 3, padding=1)
    return SmpDecoder(pyramid, decoder, head, aux=aux)
