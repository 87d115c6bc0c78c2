"""EfficientNet (Tan and Le 2019), dilated in its last stages."""

from tuner.training.network import encoder

NAMES = (
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
)
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
