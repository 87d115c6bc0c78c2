"""Decoders of segmentation_models_pytorch behind our contract: any image size, any pyramid.

SMP wants features of the image itself and of stride 2 first, sizes that double exactly, and the
whole network as one class. Here feature maps are padded with zeros to such sizes, as a convolution
pads them, and the logits are cut again; what a pyramid lacks is empty, as SMP itself has it.
"""

from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional

from tuner.spec.config import Size
from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import MeanPool, fcn_head
from tuner.training.network.tracing import ceil_div, is_traced


def widths_of(pyramid: Pyramid) -> list[int]:
    """Channels at strides 1, 2, 4, … as SMP counts them; 0 where the pyramid has no stride 2."""
    fine = () if pyramid.strides[0] == 2 else (0,)
    return [0, *fine, *pyramid.channels]


def halving(widest: int) -> list[int]:
    """Five widths of a U-shaped decoder, coarsest first, each half of the one before."""
    return [max(widest >> level, 4) for level in range(5)]


class SmpDecoder(nn.Module):
    """An SMP decoder with its classifier, and an FCN head on the third stage where `aux` is set.

    `least` is the size that the coarsest map must have.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        decoder: nn.Module,
        head: nn.Conv2d,
        *,
        aux: bool,
        least: int = 1,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.head = head
        self.aux = fcn_head(pyramid.channels[-2], head.out_channels) if aux else None
        self._strides = pyramid.strides
        self._least = least
        _pool_by_means(decoder)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits at the decoder's own stride, and auxiliary logits at the third stage's."""
        aux = self.aux(features[-2]) if self.aux is not None and self.training else None
        # Every map doubles the next exactly, as SMP's decoders want to add or stack them.
        padded = self._padded(features)
        logits: Tensor = self.head(self.decoder(self._from_image(padded)))
        height, width = (
            _kept(features[0].shape[axis], padded[0].shape[axis], logits.shape[axis])
            for axis in (-2, -1)
        )
        return logits[..., :height, :width], aux

    def _padded(self, features: list[Tensor]) -> list[Tensor]:
        coarsest = [max(size, self._least) for size in features[-1].shape[-2:]]
        sizes = [
            (coarsest[0] * self._strides[-1] // each, coarsest[1] * self._strides[-1] // each)
            for each in self._strides
        ]
        return [_pad(feature, size) for feature, size in zip(features, sizes, strict=True)]

    def _from_image(self, features: list[Tensor]) -> list[Tensor]:
        finest = features[0]
        height, width = finest.shape[-2:]
        # N×0×H×W and N×0×H/2×W/2: SMP reads their sizes, and has no use for their channels.
        image, half = (
            finest.new_empty(finest.shape[0], 0, height * step, width * step)
            for step in (self._strides[0], self._strides[0] // 2)
        )
        return [image, *features] if self._strides[0] == 2 else [image, half, *features]


def _kept(side: int, padded: int, given: int) -> int:
    """How much of `given` logits stands for the finest map before it was padded, rounded up."""
    # One divides the other. A quotient of symbols is best kept simple, or torch cannot export it.
    return side * (given // padded) if given >= padded else ceil_div(side, padded // given)


def _pad(feature: Tensor, size: Size) -> Tensor:
    below, right = size[0] - feature.shape[-2], size[1] - feature.shape[-1]
    is_padded = is_traced() or below or right  # an exported network pads images of other sizes
    return functional.pad(feature, (0, right, 0, below)) if is_padded else feature


def _pool_by_means(decoder: nn.Module) -> None:
    """Put pooling in place whose gradient is exact on CUDA."""
    for name, module in list(decoder.named_modules()):
        if isinstance(module, nn.AdaptiveAvgPool2d):
            parent, _, child = name.rpartition(".")
            size = cast(Any, module.output_size)
            bins: int = size if isinstance(size, int) else size[0]
            setattr(decoder.get_submodule(parent), child, MeanPool(bins))
