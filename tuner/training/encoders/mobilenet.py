"""MobileNetV2 (Sandler et al. 2018), dilated in its last stages.

It ends with the 320 channels of the last block: the 1280 of its classifier are not built.
"""

from tuner.training import backbone

NAMES = ("mobilenet_v2",)
OUTPUT_STRIDES = (8, 16, 32)
_TIMM = {"mobilenet_v2": "mobilenetv2_100"}


def build(name: str, output_stride: int, pretrained: bool) -> backbone.Encoder:
    """The encoder of that name; a stage below `output_stride` dilates instead of striding."""
    net = backbone.create(_TIMM[name], pretrained=pretrained, output_stride=output_stride)
    pyramid = backbone.Pyramid(backbone.channels_of(net), backbone.strides_of(net), output_stride)
    return backbone.Encoder(net, pyramid)
