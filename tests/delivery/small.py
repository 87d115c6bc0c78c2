"""Small models for every decoder: an encoder of four convolutions under the decoder itself."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.training import samples
from tests.training.networks import randomise
from tuner.configs import catalog
from tuner.configs.resolve import resolve
from tuner.configs.traits import DecoderTraits
from tuner.delivery.trained import TrainedModel
from tuner.spec.config import Recipe, Size
from tuner.training.network.encoder import Encoder, Pyramid
from tuner.training.network.model import SegmentationModel

_WIDTHS = {2: 4, 4: 6, 8: 8, 16: 10, 32: 12}


def model(
    decoder: str, *, size: Size = (32, 48), channels: int = 3, **options: Any
) -> TrainedModel:
    """A model of one decoder with random weights, which are the same every time."""
    recipe = Recipe.model_validate({"model": {"decoder": decoder, "encoder": "resnet18"}})
    config = resolve(recipe, samples.synthetic(size=size), {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = _encoder(decoder, channels)
        built = catalog.load("decoder", decoder).build(encoder.pyramid, 3, **options)
        network = SegmentationModel(encoder, built, mean=[120.0] * channels, std=[60.0] * channels)
        randomise(network)
    return TrainedModel(network.eval().requires_grad_(False), config, f"{decoder}.pt", "0" * 64)


def images(size: Size = (32, 48), *, batch: int = 2, channels: int = 3) -> Tensor:
    """Random images in 0 … 255."""
    numbers = torch.Generator().manual_seed(1)
    return torch.rand(batch, channels, *size, generator=numbers) * 255


def _encoder(decoder: str, channels: int) -> Encoder:
    traits = catalog.traits(DecoderTraits, decoder)
    output = traits.output_strides[0]
    coarse = 32 if output == 4 else output  # at stride 4 branches are parallel, as HRNet's
    strides = [stride for stride in _WIDTHS if 4 <= stride]
    kept = [min(stride, coarse) for stride in strides]
    kept = [2, *kept] if traits.finest_stride == 2 else kept
    widths = [*(_WIDTHS[stride] for stride in strides)]
    widths = [_WIDTHS[2], *widths] if traits.finest_stride == 2 else widths
    pyramid = Pyramid(tuple(widths), tuple(kept), output)
    return Encoder(_Stages(channels, pyramid), pyramid)


class _Stages(nn.Module):
    def __init__(self, channels: int, pyramid: Pyramid) -> None:
        super().__init__()
        stages, width, at = [], channels, 1
        for wide, stride in zip(pyramid.channels, pyramid.strides, strict=True):
            halvings = (stride // at).bit_length() - 1
            layers = [_halving(width if first == 0 else wide, wide) for first in range(halvings)]
            stages.append(nn.Sequential(*layers) if layers else nn.Conv2d(width, wide, 1))
            width, at = wide, stride
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution that rounds half sizes up, as an encoder's do."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
