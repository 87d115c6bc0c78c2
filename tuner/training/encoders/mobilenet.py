"""MobileNetV2 (Sandler et al. 2018) and V3 (Howard et al. 2019), dilated in their last stages.

They end with the last block: the 960 to 1280 channels of their classifiers are not built.
"""

from tuner.training.network import encoder

NAMES = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")
OUTPUT_STRIDES = (8, 16, 32)
BATCH_NORM = True
_TIMM = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
}


def build(
    name: str, output_stride: int, pretrained: bool, channels: int = 3, finest_stride: int = 4
) -> encoder.Encoder:
    """The encoder of that name; a stage below `output_stride` dilates instead of striding."""
    return encoder.dilated(
        _TIMM[name],
        output_stride,
        pretrained=pretrained,
        channels=channels,
        finest_stride=finest_stride,
    )
