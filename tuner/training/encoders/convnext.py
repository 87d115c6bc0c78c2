"""ConvNeXt (Liu et al. 2022), dilated in its last stages; its finest features have stride 4."""

from tuner.training.network import encoder

NAMES = (
    "convnext_atto",
    "convnext_femto",
    "convnext_pico",
    "convnext_nano",
    "convnext_tiny",
)
OUTPUT_STRIDES = (8, 16, 32)


def build(
    name: str, output_stride: int, pretrained: bool, channels: int = 3, finest_stride: int = 4
) -> encoder.Encoder:
    """The encoder of that name, whatever the `finest_stride` that a decoder could use."""
    net = encoder.create(
        name, pretrained=pretrained, channels=channels, output_stride=output_stride
    )
    pyramid = encoder.Pyramid(encoder.channels_of(net), encoder.strides_of(net), output_stride)
    return encoder.Encoder(net, pyramid, multiple=32)
