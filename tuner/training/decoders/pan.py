"""PAN: pyramid attention on the deepest features guides the finer ones (Li et al. 2018).

Built by segmentation_models_pytorch.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.pan.decoder import PANDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (16, 32, 8, 4)
NORMALISES = "image"
_HALVINGS = 8  # its attention halves the coarsest map three times


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 32,
    aux: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    decoder = PANDecoder(widths_of(pyramid), encoder_depth=5, decoder_channels=mid_channels)
    head = nn.Conv2d(mid_channels, classes, 3, padding=1)
    return SmpDecoder(pyramid, decoder, head, aux=aux, least=_HALVINGS)
