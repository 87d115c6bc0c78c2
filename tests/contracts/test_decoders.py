"""Every decoder turns a pyramid into logits, at every output stride it declares."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tuner.configs import catalog
from tuner.configs.traits import DecoderTraits, EncoderTraits
from tuner.training.network.encoder import Pyramid

CHANNELS = (8, 12, 16, 24)
CLASSES = 5


def pyramids(decoder: str) -> list[Pyramid]:
    """One small pyramid per output stride."""
    strides = {4: (4, 8, 16, 32), 8: (4, 8, 8, 8), 16: (4, 8, 16, 16), 32: (4, 8, 16, 32)}
    declared = catalog.traits(DecoderTraits, decoder).output_strides
    return [Pyramid(CHANNELS, strides[stride], stride) for stride in declared]


def build(decoder: str, pyramid: Pyramid) -> nn.Module:
    """The decoder with its default options."""
    built = catalog.load("decoder", decoder).build(pyramid, CLASSES)
    assert isinstance(built, nn.Module)
    return built


def features(pyramid: Pyramid) -> list[Tensor]:
    """Random features of a 45×67 image."""
    sizes = [(-(-45 // stride), -(-67 // stride)) for stride in pyramid.strides]
    return [
        torch.randn(2, channels, *size, requires_grad=True)
        for channels, size in zip(pyramid.channels, sizes, strict=True)
    ]


def test_logits_have_a_channel_per_class_and_finite_gradients(decoder: str) -> None:
    """Forward and backward work, and every parameter gets a finite gradient."""
    for pyramid in pyramids(decoder):
        built = build(decoder, pyramid)
        logits, aux = built(features(pyramid))
        assert logits.shape[:2] == (2, CLASSES)
        total = logits.square().mean()
        if aux is not None:
            assert aux.shape[:2] == (2, CLASSES)
            total = total + aux.square().mean()
        total.backward()
        for name, parameter in built.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def choices(option: catalog.Option) -> list[Any]:
    """Every value of an option that lists its values; none of others."""
    schema = option.adapter.json_schema()
    return [False, True] if schema.get("type") == "boolean" else schema.get("enum", [])


def test_every_value_of_a_listed_option_works(decoder: str) -> None:
    """Forward and backward work with each value of each choice and switch."""
    pyramid = pyramids(decoder)[0]
    given = features(pyramid)
    for option in catalog.find("decoder", decoder).options.values():
        for value in choices(option):
            build = catalog.load("decoder", decoder).build
            logits, _ = build(pyramid, CLASSES, **{option.name: value})(given)
            assert logits.shape[:2] == (2, CLASSES), (option.name, value)
            logits.square().mean().backward()
    for feature in given:
        assert feature.grad is None or torch.isfinite(feature.grad).all()


def test_state_makes_an_equal_decoder(decoder: str) -> None:
    """A second decoder with the first one's state gives the same logits."""
    pyramid = pyramids(decoder)[0]
    first, second = build(decoder, pyramid).eval(), build(decoder, pyramid).eval()
    second.load_state_dict(first.state_dict())
    given = features(pyramid)
    assert torch.equal(first(given)[0], second(given)[0])


def test_preferred_stride_is_offered_by_some_encoder(decoder: str) -> None:
    """No decoder is out of reach of every encoder."""
    wanted = catalog.traits(DecoderTraits, decoder).output_strides
    offered = {
        stride
        for name in catalog.names("encoder")
        for stride in catalog.traits(EncoderTraits, name).output_strides
    }
    assert set(wanted) <= offered


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_options_shared_by_several_components_have_one_type(kind: str) -> None:
    """Encoder and decoder options stand in one section, so a name has one meaning."""
    types: dict[str, set[str]] = {}
    for name in catalog.names(kind):
        for option in catalog.find(kind, name).options.values():
            types.setdefault(option.name, set()).add(option.annotation)
    assert {name: found for name, found in types.items() if len(found) > 1} == {}


def test_what_is_said_of_norms_holds(decoder: str) -> None:
    """`NORMALISES` tells where a single image leaves batch norm one value per channel."""
    said = catalog.traits(DecoderTraits, decoder).normalises
    for pyramid in pyramids(decoder):
        if pyramid.is_parallel:
            continue
        built = build(decoder, pyramid)
        for size, where in ((2, {"image"}), (1, {"image", "coarsest"})):
            sizes = [size * pyramid.strides[-1] // stride for stride in pyramid.strides]
            maps = [torch.randn(1, c, s, s) for c, s in zip(CHANNELS, sizes, strict=True)]
            is_refused = said in where
            words = "more than 1 value per channel"
            with pytest.raises(ValueError, match=words) if is_refused else nullcontext():
                built(maps)
