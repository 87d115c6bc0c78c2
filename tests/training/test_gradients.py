"""Clipping of gradients and weights."""

from typing import Any

import pytest
import torch
from torch import nn

from tuner.spec.config import TrainingConfig
from tuner.training.optimization import gradients


def network(*values: float) -> nn.Module:
    """One layer whose weights and gradients are these values."""
    layer = nn.Linear(len(values), 1, bias=False)
    layer.weight.data.copy_(torch.tensor([values]))
    layer.weight.grad = torch.tensor([values])
    return layer


def clipped(model: nn.Module, **settings: Any) -> list[float]:
    """The gradient after clipping."""
    gradients.clip(model, TrainingConfig(**settings))
    (parameter,) = model.parameters()
    assert parameter.grad is not None
    values: list[float] = parameter.grad[0].tolist()
    return values


def test_nothing_is_clipped_by_default() -> None:
    """Both bounds are off."""
    assert clipped(network(3.0, -400.0)) == [3.0, -400.0]


def test_the_norm_is_bounded_and_the_direction_kept() -> None:
    """A gradient of norm 5 is scaled to norm 1; a short one stays."""
    assert clipped(network(3.0, -4.0), clip_norm=1.0) == pytest.approx([0.6, -0.8], rel=1e-5)
    assert clipped(network(0.3, -0.4), clip_norm=1.0) == pytest.approx([0.3, -0.4])


def test_values_are_bounded_one_by_one_before_the_norm() -> None:
    """An outlier does not decide the direction of all."""
    assert clipped(network(3.0, -400.0), clip_value=4.0) == [3.0, -4.0]
    both = clipped(network(3.0, -400.0), clip_value=4.0, clip_norm=1.0)
    assert both == pytest.approx([0.6, -0.8], rel=1e-5)


def test_a_gradient_that_is_not_finite_is_not_hidden() -> None:
    """Divergence has to show."""
    assert any(value != value for value in clipped(network(3.0, float("nan")), clip_norm=1.0))


def test_weights_are_bounded_but_frozen_ones_are_left() -> None:
    """The bound holds after every step for what learns."""
    learning, frozen = network(0.5, -2.0), network(0.5, -2.0).requires_grad_(False)
    for model in (learning, frozen):
        gradients.clip_weights(model, TrainingConfig(clip_weights=1.0))
    assert learning.get_parameter("weight")[0].tolist() == [0.5, -1.0]
    assert frozen.get_parameter("weight")[0].tolist() == [0.5, -2.0]
