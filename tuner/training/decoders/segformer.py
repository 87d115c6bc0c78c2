"""SegFormer's head: one linear layer per stride, summed up by another (Xie et al. 2021).

Built by segmentation_models_pytorch.
"""

from typing import Annotated

from pydantic import Field
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 16, 8, 4)


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    mid_channels: Annotated[int, Field(ge=8, le=2048)] = 256,
    aux: bool = False,
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    decoder = SegformerDecoder(widths_of(pyramid), segmentation_channels=mid_channels)
    head = nn.Conv2d(mid_channels, classes, 1)
    return SmpDecoder(pyramid, decoder, head, aux=aux)
