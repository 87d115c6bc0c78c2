"""How numbers, times and names are written."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard import format as fmt

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
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (0.51249, "0.512"), (None, "–"), (math.inf, "–"), (1234.5, "1,234.5")],
)
def test_metric(value: float | None, text: str) -> None:
    """Metrics have three decimals, so that columns line up."""
    assert fmt.metric(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.047, "+0.047"), (-0.0123, "−0.012"), (0.0001, "±0.000"), (None, "–")],
)
def test_gain(value: float | None, text: str) -> None:
    """A difference always says its sign."""
    assert fmt.gain(value) == text


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
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (1, "just now"), (59, "59 s ago"), (61, "1 min ago"), (90_000, "1 d ago")],
)
def test_ago(seconds: float, text: str) -> None:
    """Ages are in one unit; clocks that disagree a little make no negative age."""
    assert fmt.ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (812, "812 B"), (4_100_000, "4.1 MB"), (2 * 10**15, "2000.0 TB")],
)
def test_size(count: int, text: str) -> None:
    """Sizes are in decimal units."""
    assert fmt.size(count) == text


def test_short_paths_name_the_section_for_a_name() -> None:
    """`name` alone would say nothing, and shared endings keep enough of the path."""
    paths = ("optimizer.name", "optimizer.lr", "loss.power", "schedule.power")
    assert fmt.short_paths(paths) == {
        "optimizer.name": "optimizer",
        "optimizer.lr": "lr",
        "loss.power": "loss.power",
        "schedule.power": "schedule.power",
    }


def test_flatten_gives_dotted_paths() -> None:
    """Nested mappings become paths; empty ones stay as they are."""
    assert fmt.flatten({"a": {"b": 1, "c": {}}, "d": 2}) == {"a.b": 1, "a.c": {}, "d": 2}


@given(st.floats())
def test_no_number_shows_nan(value: float) -> None:
    """No formatter ever writes NaN or infinity."""
    shown = [fmt.number(value), fmt.metric(value), fmt.gain(value), fmt.setting(value)]
    assert not any("nan" in text or "inf" in text for text in shown)
