"""Class weights: the published rules, a scale that stays, and classes that never occur."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.training.losses._class_weights import class_weights

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


CAMVID = (0.168, 0.231, 0.0098, 0.3155, 0.0463, 0.1136, 0.0111, 0.0119, 0.0584, 0.0063, 0.0026)


@pytest.mark.parametrize("shares", [CAMVID, (0.95, 0.05), (0.8, 0.2), (0.6, 0.3, 0.1)])
def test_the_default_effective_number_matters_at_any_shares(shares: tuple[float, ...]) -> None:
    """Rarer weighs more, clearly, and less steeply than the inverse of the share."""
    found = weights("effective_number", shares)
    by_share = [weight for _, weight in sorted(zip(shares, found, strict=True), reverse=True)]
    assert by_share == sorted(by_share)
    imbalance = max(shares) / min(shares)
    assert imbalance**0.5 < max(found) / min(found) < imbalance


def test_the_default_effective_number_of_camvid() -> None:
    """Signs and cyclists weigh an order more than buildings and road; those weigh alike."""
    found = weights("effective_number", CAMVID)
    assert found[10] / found[3] == pytest.approx(18.3, abs=0.1)
    assert found[1] / found[3] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999, 0.99999])
def test_a_given_beta_counts_parts_of_a_hundred_thousand(beta: float) -> None:
    """The paper's formula, whatever the data set."""
    raw = [(1 - beta) / (1 - beta ** (100_000 * share)) for share in CAMVID]
    mean = sum(weight * share for weight, share in zip(raw, CAMVID, strict=True))
    expected = [weight / mean for weight in raw]
    assert weights("effective_number", CAMVID, beta=beta) == pytest.approx(expected, rel=1e-4)
