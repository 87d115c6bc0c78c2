"""Mix Transformer, the encoder of SegFormer (Xie et al. 2021), as SMP builds it.

The published weights come under NVIDIA's source code licence, for non-commercial use.
"""

from typing import Any, cast

from segmentation_models_pytorch.encoders import get_encoder

from tuner.training.network import encoder

NAMES = ("mit_b0", "mit_b1", "mit_b2")
OUTPUT_STRIDES = (32,)


def build(
    name: str, output_stride: int, pretrained: bool, channels: int = 3, finest_stride: int = 4
) -> encoder.Encoder:
    """The encoder of that name, whatever the `finest_stride` that a decoder could use."""
    weights = "imagenet" if pretrained else None
    try:
        net = get_encoder(name, in_channels=channels, depth=5, weights=weights)
    except Exception as error:  # the hub's client has errors of its own
        raise encoder.unfetched(name, error) from error
    found = tuple(cast(Any, net).out_channels[-4:])
    pyramid = encoder.Pyramid(found, (4, 8, 16, 32), output_stride)
    # The coarsest attention reads 8×8 tiles of stride 4, so that less than 32 pixels are too few.
    return encoder.Encoder(net, pyramid, multiple=32)
