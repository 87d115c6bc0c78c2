"""ResNet (He et al. 2016), dilated in its last stages as torchvision and DeepLab do."""

from tuner.training.network import encoder

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")
OUTPUT_STRIDES = (8, 16, 32)
BATCH_NORM = True


def build(
    name: str, output_stride: int, pretrained: bool, channels: int = 3, finest_stride: int = 4
) -> encoder.Encoder:
    """The encoder of that name; a stage below `output_stride` dilates instead of striding."""
    return encoder.dilated(
        name,
        output_stride,
        pretrained=pretrained,
        channels=channels,
        finest_stride=finest_stride,
    )
