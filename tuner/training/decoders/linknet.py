"""LinkNet: skip connections that are added, not concatenated (Chaurasia and Culurciello 2017).

Built by segmentation_models_pytorch. Its widths are the encoder's.
"""

from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from torch import nn

from tuner.training.decoders._smp import SmpDecoder, widths_of
from tuner.training.network.encoder import Pyramid

OUTPUT_STRIDES = (32, 4)
NORMALISES = "coarsest"
FINEST_STRIDE = 2
_LAST = 32


def build(pyramid: Pyramid, classes: int, *, aux: bool = False) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    decoder = LinknetDecoder(widths_of(pyramid), prefinal_channels=_LAST, n_blocks=5)
    return SmpDecoder(pyramid, decoder, nn.Conv2d(_LAST, classes, 1), aux=aux)
