"""HRNet: four branches at strides 4 to 32 that exchange features all the way (Wang et al. 2019).

timm builds the classifier: it fuses branches by nearest upsampling, and only where every size is
a multiple of 32. Segmentation fuses bilinearly, to the size of the receiving branch, as here; with
`align_corners` as the published segmentation networks do, which the decoder `ocr` tells more of.
"""

from typing import Any, cast

from torch import Tensor, nn

from tuner.training.network import encoder
from tuner.training.network.resize import resize

NAMES = ("hrnet_w18_small", "hrnet_w18_small_v2", "hrnet_w18", "hrnet_w32", "hrnet_w48")
OUTPUT_STRIDES = (4,)
BATCH_NORM = True
COARSEST_STRIDE = 32


def build(
    name: str,
    output_stride: int,
    pretrained: bool,
    channels: int = 3,
    finest_stride: int = 4,
    *,
    align_corners: bool = False,
) -> encoder.Encoder:
    """The encoder of that name; its pyramid is parallel."""
    net = encoder.create(
        name,
        pretrained=pretrained,
        channels=channels,
        feature_location="",
        out_indices=(0, 1, 2, 3, 4) if finest_stride == 2 else (1, 2, 3, 4),
    )
    for stage in ("stage2", "stage3", "stage4"):
        modules = cast(nn.Sequential, getattr(net, stage))
        for index, module in enumerate(modules):
            modules[index] = _BilinearExchange(module, align_corners)
    pyramid = encoder.Pyramid(encoder.channels_of(net), encoder.strides_of(net), output_stride)
    return encoder.Encoder(net, pyramid)


class _BilinearExchange(nn.Module):
    """timm's exchange unit with the same parameters and names, fused bilinearly at any size."""

    def __init__(self, unit: nn.Module, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = cast(nn.ModuleList, unit.branches)
        self.fuse_layers = cast(nn.ModuleList, unit.fuse_layers)
        self.fuse_act = cast(nn.Module, unit.fuse_act)
        for name, module in list(self.fuse_layers.named_modules()):
            if isinstance(module, nn.Upsample):
                parent, _, child = name.rpartition(".")
                setattr(self.fuse_layers.get_submodule(parent), child, nn.Identity())

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """One feature map per branch in, one out, of the same shapes."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        fused = []
        for target, paths in zip(features, self.fuse_layers, strict=False):
            size = (target.shape[-2], target.shape[-1])
            parts = [
                resize(path(x), size, align_corners=self.align_corners)
                for path, x in zip(cast(Any, paths), features, strict=True)
            ]
            fused.append(self.fuse_act(sum(parts[1:], start=parts[0])))
        return fused
