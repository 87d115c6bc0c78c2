"""Class weights: the published rules, a scale that stays, and classes that never occur."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.training.class_weights import class_weights

RULES = ("median_frequency", "inverse_log", "effective_number")
SHARES = (0.7, 0.2, 0.1)


def weights(rule: str, shares: Sequence[float] = SHARES, **options: float) -> list[float]:
    """Weights of the classes."""
    found: list[float] = class_weights(rule, shares, **options).tolist()
    return found


@pytest.mark.parametrize("rule", RULES)
@given(parts=st.lists(st.integers(0, 10**6), min_size=2, max_size=20).filter(any))
def test_the_pixels_of_the_training_set_weigh_one_on_average(rule: str, parts: list[int]) -> None:
    """Whatever the shares, absent classes included."""
    shares = [part / sum(parts) for part in parts]
    found = weights(rule, shares)
    mean = sum(weight * share for weight, share in zip(found, shares, strict=True))
    assert mean == pytest.approx(1.0, rel=1e-4)
    assert all(weight == 0 for weight, part in zip(found, parts, strict=True) if part == 0)


@pytest.mark.parametrize(
    ("rule", "ratio"),
    [
        ("median_frequency", 0.2 / 0.1),
        ("inverse_log", 0.19885085874516517 / 0.11332868530700327),
        ("effective_number", (1 - 0.999**20_000) / (1 - 0.999**10_000)),
    ],
)
def test_ratios_follow_the_papers(rule: str, ratio: float) -> None:
    """How much more the rarest class weighs than the next."""
    found = weights(rule, beta=0.999)
    assert found[2] / found[1] == pytest.approx(ratio, rel=1e-5)


def test_a_power_tempers() -> None:
    """Power 0 is no weighting, and 1/2 the root of the ratios."""
    assert weights("median_frequency", power=0.0) == pytest.approx([1.0, 1.0, 1.0])
    found = weights("median_frequency", power=0.5)
    assert found[2] / found[1] == pytest.approx(2**0.5)


def test_none_weighs_every_class_alike() -> None:
    """Also one that never occurs in training: it may occur in validation."""
    assert weights("none", (0.5, 0.5, 0.0)) == [1.0, 1.0, 1.0]
