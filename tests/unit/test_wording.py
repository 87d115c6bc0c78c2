"""How numbers, times, params and progress are put into words."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cli_samples import view
from tuner import wording

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (True, "yes"),
        (12_400, "12,400"),
        (3.2e-4, "3.2e-4"),
        (1e-4, "1e-4"),
        (0.01, "0.01"),
        (0.9, "0.9"),
        (0.0, "0"),
        (-2.5e6, "-2.5e6"),
        ("ocr", "ocr"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_number(value: object, text: str) -> None:
    """Any scalar gets its shortest clear form."""
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("amount", "thing", "text"),
    [
        (1, "core", "1 core"),
        (0, "trial", "0 trials"),
        (12_400, "epoch", "12,400 epochs"),
        (1.0, "hour", "1 hour"),
        (2.5, "device hour", "2.5 device hours"),
        (2, "class", "2 classes"),
    ],
)
def test_quantity(amount: float, thing: str, text: str) -> None:
    """One thing is one, any other number of them has a plural."""
    assert wording.quantity(amount, thing) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (0.51249, "0.512"), (None, "–"), (math.inf, "–"), (1234.5, "1,234.5")],
)
def test_metric(value: float | None, text: str) -> None:
    """Metrics have three decimals, so that columns line up."""
    assert wording.metric(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.047, "+0.047"), (-0.0123, "−0.012"), (0.0001, "±0.000"), (None, "–")],
)
def test_gain(value: float | None, text: str) -> None:
    """A difference always says its sign."""
    assert wording.gain(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (4.25, "4.2 s"),
        (59.4, "59 s"),
        (185, "3 min 5 s"),
        (7_800, "2 h 10 min"),
        (3_600, "1 h"),
        (356_400, "4 d 3 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """Durations name their two largest units."""
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (1, "just now"), (59, "59 s ago"), (61, "1 min ago"), (90_000, "1 d ago")],
)
def test_ago(seconds: float, text: str) -> None:
    """Ages are in one unit; clocks that disagree a little make no negative age."""
    assert wording.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_short_paths_name_the_section_for_a_name() -> None:
    """`name` alone would say nothing, and shared endings keep enough of the path."""
    paths = ("optimizer.name", "optimizer.lr", "loss.power", "schedule.power")
    assert wording.short_paths(paths) == {
        "optimizer.name": "optimizer",
        "optimizer.lr": "lr",
        "loss.power": "loss.power",
        "schedule.power": "schedule.power",
    }


def test_params_are_pairs_with_short_names() -> None:
    """Sorted by path, with the values as the dashboard shows them."""
    values = {"optimizer.name": "sgd", "optimizer.lr": 3.2e-4, "training.batch_size": 16}
    assert wording.params(values) == "lr=3.2e-4 optimizer=sgd batch_size=16"


@pytest.mark.parametrize(
    ("epochs", "saved", "seconds", "text"),
    [
        (70, 55, 4_680.0, "55 saved by pruning (44 %, ~1 h 18 min)"),
        (70, 55, 0.0, "55 saved by pruning (44 %)"),
        (70, 0, 0.0, "none saved by pruning"),
        (0, 0, 0.0, "none saved by pruning"),
    ],
)
def test_savings(epochs: int, saved: int, seconds: float, text: str) -> None:
    """The share is of all that full trainings would have cost."""
    study = view(epochs=epochs, epochs_saved=saved, seconds_saved=seconds)
    assert wording.savings(study) == text


def test_an_improvement_needs_both_values() -> None:
    """Without trial 0, or before a best, there is nothing to compare."""
    assert wording.improvement(0.5, 0.25) == 0.25
    assert wording.improvement(0.5, None) is None
    assert wording.improvement(None, 0.5) is None


@given(st.floats())
def test_no_number_shows_nan(value: float) -> None:
    """No formatter ever writes NaN or infinity."""
    shown = [
        wording.number(value),
        wording.metric(value),
        wording.gain(value),
        wording.setting(value),
    ]
    assert not any("nan" in text or "inf" in text for text in shown)
