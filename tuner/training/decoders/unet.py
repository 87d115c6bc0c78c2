"""U-Net: skip connections at every stride, up to the image's own (Ronneberger et al. 2015).

Built by segmentation_models_pytorch. Encoders without features of stride 2 give no skip there.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, halving, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 4)
FINEST_STRIDE = 2


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    aux: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid; `mid_channels` is the widest of five widths."""
    widths = halving(mid_channels)
    decoder = UnetDecoder(widths_of(pyramid), widths, n_blocks=5)
    head = nn.Conv2d(widths[-1], classes, 3, padding=1)
    return SmpDecoder(pyramid, decoder, head, aux=aux)
