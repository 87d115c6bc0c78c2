"""Normalisation that does not depend on the batch, and encoders that do not learn."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.networks import randomise
from tests.training.samples import config
from tuner.training.network import model, norms

GREY: dict[str, Any] = {"mean": (127.5,) * 3, "std": (60.0,) * 3}


def build(norm: str, **params: Any) -> model.SegmentationModel:
    """A small network in training mode, without random parts."""
    chosen = {"model.norm": norm, "model.dropout": 0.0, **params}
    return model.build(config(chosen), **GREY).train()


def gradient(built: model.SegmentationModel, images: Tensor) -> Tensor:
    """Gradient of the stem, summed over the images."""
    built.zero_grad()
    built(images)[0].square().sum().backward()
    stem = next(built.parameters()).grad
    assert stem is not None
    return stem.clone()


@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_gradients_of_parts_add_up(norm: str) -> None:
    """What two halves of a batch give one after the other is what the batch gives."""
    torch.manual_seed(0)
    built = build(norm)
    images = torch.rand(2, 3, 32, 32) * 255
    whole = gradient(built, images)
    halves = gradient(built, images[:1]) + gradient(built, images[1:])
    torch.testing.assert_close(halves, whole, rtol=1e-3, atol=1e-4 * whole.abs().max().item())


def test_group_norm_takes_every_place_and_keeps_activations() -> None:
    """No batch norm is left, and timm's fused activations still act."""
    built = build("group", **{"model.encoder": "mobilenet_v2"})
    assert not [part for part in built.modules() if isinstance(part, nn.BatchNorm2d)]
    first = built.encoder.net.get_submodule("bn1")
    assert first(torch.randn(2, 32, 4, 4)).amin() >= 0


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (64, 16), (18, 2), (36, 4), (1, 1)])
def test_a_group_has_four_channels_where_it_can(channels: int, groups: int) -> None:
    """Groups divide the channels, and a pooled map still has something to normalise."""
    assert norms.groups_of(channels) == groups


def test_frozen_statistics_stay_while_scales_learn() -> None:
    """A training step on other images leaves mean and variance as they are."""
    built = build("frozen")
    randomise(built)
    before = {name: value.clone() for name, value in built.named_buffers()}
    gradient(built, torch.rand(2, 3, 32, 32) * 255)
    assert all(torch.equal(value, before[name]) for name, value in built.named_buffers())
    norm = next(part for part in built.modules() if isinstance(part, nn.BatchNorm2d))
    assert norm.weight.grad is not None


def test_a_frozen_encoder_neither_learns_nor_counts() -> None:
    """Its parameters get no gradient and its statistics stay, while the decoder learns."""
    built = build("batch")
    model.freeze(built, True)
    before = {name: value.clone() for name, value in built.encoder.named_buffers()}
    built.eval().train()  # as an evaluation between two epochs does
    built(torch.rand(2, 3, 32, 32) * 255)[0].square().mean().backward()
    assert all(parameter.grad is None for parameter in built.encoder.parameters())
    assert any(parameter.grad is not None for parameter in built.decoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in built.encoder.named_buffers())


def test_an_unfrozen_encoder_learns_again() -> None:
    """Freezing leaves nothing behind."""
    built = build("batch")
    model.freeze(built, True)
    model.freeze(built, False)
    assert gradient(built, torch.rand(2, 3, 32, 32) * 255).abs().sum() > 0
    assert all(part.training for part in built.modules())
