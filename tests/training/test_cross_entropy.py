"""Cross-entropy against torch's own, and its class weights."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.nn import functional

from tuner.training.ignore import IGNORE
from tuner.training.losses.cross_entropy import build

SHARES = (0.7, 0.2, 0.1)


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits and labels with ignored pixels."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 3, (2, 6, 6), generator=generator)
    labels[:, 0] = IGNORE
    return torch.randn(2, 3, 6, 6, generator=generator), labels


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_equals_torch(smoothing: float) -> None:
    """Without weights it is torch's mean over the pixels that are not ignored."""
    logits, labels = sample()
    ours = build(3, SHARES, label_smoothing=smoothing)(logits, labels)
    theirs = functional.cross_entropy(
        logits, labels, ignore_index=IGNORE, label_smoothing=smoothing
    )
    torch.testing.assert_close(ours, theirs)


def weights_of(shares: Sequence[float], rule: Any) -> torch.Tensor:
    """Class weights of the loss by this rule."""
    return build(3, shares, class_weights=rule).get_buffer("weights")


@pytest.mark.parametrize("rule", ["median_frequency", "inverse_log", "effective_number"])
def test_weights_favour_rare_classes_and_keep_the_scale(rule: Any) -> None:
    """Rarer weighs more, and the training set's pixels weigh 1 on average."""
    weights: list[float] = weights_of(SHARES, rule).tolist()
    assert weights == sorted(weights)
    mean = sum(weight * share for weight, share in zip(weights, SHARES, strict=True))
    assert mean == pytest.approx(1.0)


def test_a_class_without_pixels_has_a_finite_weight() -> None:
    """A class that never occurs in training does not divide by zero."""
    weights = weights_of((0.9, 0.1, 0.0), "median_frequency")
    assert torch.isfinite(weights).all()
