"""ResNet (He et al. 2016), dilated in its last stages as torchvision and DeepLab do."""

from tuner.training import backbone

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")
OUTPUT_STRIDES = (8, 16, 32)


def build(name: str, output_stride: int, pretrained: bool) -> backbone.Encoder:
    """The encoder of that name; a stage below `output_stride` dilates instead of striding."""
    net = backbone.create(name, pretrained=pretrained, output_stride=output_stride)
    pyramid = backbone.Pyramid(backbone.channels_of(net), backbone.strides_of(net), output_stride)
    return backbone.Encoder(net, pyramid)
