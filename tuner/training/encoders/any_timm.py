"""Any timm model that gives features at strides 4 to 32: its name there after `tu-`.

Which output strides a model can have depends on timm's file for it; models of files that are not
listed give no such features, or take images of one size only. timm dilates all of them itself but
VGG, which is dilated here.
"""

from typing import cast

from torch import nn

from tuner.configs import timm_names
from tuner.errors import TrainingError
from tuner.training.encoders import _atrous
from tuner.training.network import encoder

PREFIX = "tu-"
NAMES = ("tu-regnety_002", "tu-resnext50_32x4d", "tu-seresnet18")
OUTPUT_STRIDES = (8, 16, 32)
STRIDES = {
    "byobnet": (8, 16, 32),
    "convnext": (8, 16, 32),
    "cpubone": (32,),
    "cspnet": (8, 16, 32),
    "cspnext": (8, 16, 32),
    "davit": (32,),
    "densenet": (32,),
    "dla": (32,),
    "dpn": (32,),
    "edgenext": (32,),
    "efficientnet": (8, 16, 32),
    "efficientvit_mit": (32,),
    "fasternet": (32,),
    "fastvit": (32,),
    "focalnet": (32,),
    "ghostnet": (32,),
    "hardcorenas": (8, 16, 32),
    "hgnet": (32,),
    "hieradet_sam2": (32,),
    "hrnet": (32,),
    "iformer": (32,),
    "inception_next": (8, 16, 32),
    "lcnetv2": (32,),
    "lowformer": (32,),
    "metaformer": (32,),
    "mobilenetv3": (8, 16, 32),
    "mobilenetv5": (32,),
    "mvitv2": (32,),
    "nextvit": (32,),
    "nfnet": (8, 16, 32),
    "pvt_v2": (32,),
    "rdnet": (32,),
    "regnet": (8, 16, 32),
    "repghost": (32,),
    "repvit": (32,),
    "res2net": (8, 16, 32),
    "resnest": (8, 16, 32),
    "resnet": (8, 16, 32),
    "resnetv2": (8, 16, 32),
    "rexnet": (8, 16, 32),
    "selecsls": (32,),
    "senet": (32,),
    "sknet": (8, 16, 32),
    "starnet": (32,),
    "swiftformer": (32,),
    "tiny_vit": (32,),
    "tresnet": (32,),
    "twins": (32,),
    "vgg": (8, 16, 32),
}
_PLAIN = "vgg"  # takes no output stride in timm


def build(
    name: str, output_stride: int, pretrained: bool, channels: int = 3, finest_stride: int = 4
) -> encoder.Encoder:
    """The encoder of that name; images are padded to multiples of 32, which any of them takes.

    Raises:
        TrainingError: the pretrained weights cannot be fetched, or the features do not fit.
    """
    model = name.removeprefix(PREFIX)
    is_plain = timm_names.files().get(model) == _PLAIN
    options: dict[str, float] = {}
    if is_plain and not pretrained:
        options["mlp_ratio"] = 0.001  # of the layers that are dropped: 400 MB for nothing
    elif output_stride != 32 and not is_plain:
        options["output_stride"] = output_stride
    net = encoder.create(model, pretrained=pretrained, channels=channels, **options)
    found = encoder.strides_of(net)
    if is_plain:
        _atrous.dilate(cast(nn.ModuleDict, net), output_stride)
        found = tuple(min(stride, output_stride) for stride in found)
    wanted = tuple(min(stride, output_stride) for stride in (4, 8, 16, 32))
    if found[-4:] != wanted:
        raise TrainingError(
            f"encoder '{name}' gives features at strides {found}, but decoders need {wanted}; "
            "choose another encoder"
        )
    levels = 5 if finest_stride == 2 and found[-5:-4] == (2,) else 4
    channels_found = encoder.channels_of(net)[-levels:]
    pyramid = encoder.Pyramid(channels_found, found[-levels:], output_stride)
    return encoder.Encoder(net, pyramid, multiple=32)
