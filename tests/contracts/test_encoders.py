"""Every encoder gives four feature maps whose shapes its pyramid foretells."""

from math import ceil

import pytest
import torch

from tests.training.networks import place_of
from tuner.configs import catalog
from tuner.configs.traits import EncoderTraits
from tuner.training.network.encoder import Encoder

SMALLEST = (
    "hrnet_w18_small",
    "resnet18",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_atto",
    "mit_b0",
    "tu-regnety_002",
)


def build(name: str, stride: int, channels: int = 3, finest: int = 4) -> Encoder:
    """The encoder without pretrained weights."""
    built = catalog.load("encoder", name).build(name, stride, False, channels, finest)
    assert isinstance(built, Encoder)
    return built


def test_features_have_the_promised_shapes_at_odd_sizes(encoder: str) -> None:
    """Channels and strides are as declared, for sizes that no power of two divides."""
    keeps_promises(encoder, catalog.traits(EncoderTraits, encoder).output_strides[-1])


@pytest.mark.parametrize("name", SMALLEST)
def test_every_output_stride_can_be_had(name: str) -> None:
    """One member of each family gives every stride that its file declares."""
    for stride in catalog.traits(EncoderTraits, name).output_strides:
        keeps_promises(name, stride)


def keeps_promises(name: str, stride: int) -> None:
    """Features of a 71×101 image have the pyramid's channels and strides."""
    with torch.no_grad(), torch.device(place_of(name)):
        built = build(name, stride).eval()
        features = built(torch.empty(1, 3, 71, 101))
    pyramid = built.pyramid
    assert pyramid.output_stride == stride
    assert pyramid.strides[0] == 4
    assert stride in (pyramid.strides[0], pyramid.strides[-1])
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, ceil(71 / each), ceil(101 / each))
        for channels, each in zip(pyramid.channels, pyramid.strides, strict=True)
    ]


@pytest.mark.parametrize("name", SMALLEST)
@torch.no_grad()
def test_other_channels_and_finer_features_can_be_had(name: str) -> None:
    """Images of five channels go in, and features of stride 2 come first where there are any."""
    built = build(name, catalog.traits(EncoderTraits, name).output_strides[-1], 5, 2).eval()
    features = built(torch.randn(1, 5, 39, 70))
    assert built.pyramid.strides[-4:] == (4, 8, 16, 32)
    assert built.pyramid.strides[0] in (2, 4)
    assert [feature.shape[-1] for feature in features] == [
        ceil(70 / stride) for stride in built.pyramid.strides
    ]


@pytest.mark.parametrize("name", SMALLEST)
def test_gradients_are_finite_and_reach_the_stem(name: str) -> None:
    """A backward pass from all features gives the first layer a finite gradient."""
    stride = catalog.traits(EncoderTraits, name).output_strides[0]
    built = build(name, stride)
    sum(feature.square().mean() for feature in built(torch.randn(2, 3, 33, 35))).backward()
    stem = next(built.parameters()).grad
    assert stem is not None
    assert torch.isfinite(stem).all()
    assert stem.abs().sum() > 0


def test_every_family_has_its_smallest_member_exercised() -> None:
    """A new family must be added to the test above."""
    modules = {catalog.find("encoder", name).module for name in catalog.names("encoder")}
    assert modules == {catalog.find("encoder", name).module for name in SMALLEST}


@pytest.mark.parametrize("name", SMALLEST)
def test_what_is_said_of_norms_holds(name: str) -> None:
    """An encoder that says `BATCH_NORM` cannot learn from one pixel of one image."""
    traits = catalog.traits(EncoderTraits, name)
    stride = traits.output_strides[-1]
    built, coarsest = build(name, stride), traits.coarsest_stride or stride
    assert len(built(torch.randn(1, 3, coarsest + 1, coarsest))) == 4
    if traits.batch_norm:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            built(torch.randn(1, 3, coarsest, coarsest))
