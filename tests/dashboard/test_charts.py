"""Charts as pure functions: whatever the numbers, the SVG is sound and tells the truth."""

import math
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from api.dashboard.charts import svg
from api.dashboard.charts.axes import linear, robust, trimmed
from api.dashboard.charts.bars import draw_bar, draw_stack
from api.dashboard.charts.curves import draw_curves, fold_curves, spread
from api.dashboard.charts.history import draw_history, fold_history
from tuner.service.results import HistoryRow
from tuner.spec.states import TrialState
from tuner.spec.study import Objective
from tuner.spec.views import Curve

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
DIRECTIONS = st.sampled_from(["maximize", "minimize"])
ENDED = [state for state in TrialState if state.has_ended]


def points(values: list[float | None], objective: Objective) -> list[HistoryRow]:
    """Ended trials with the best so far beside them, as the service gives them."""
    found, best = [], None
    for number, value in enumerate(values):
        state = ENDED[number % len(ENDED)]
        if value is not None and math.isfinite(value) and state is TrialState.COMPLETED:
            best = value if best is None or objective.is_better(value, best) else best
        found.append(
            HistoryRow(
                trial=number, state=state, value=value, best=best, finished_at=datetime.now(UTC)
            )
        )
    return found


def parsed(markup: Markup) -> ElementTree.Element:
    """The SVG as a tree; raises if it is not well-formed."""
    assert not re.search(r"\b(nan|inf)\b", markup)
    return ElementTree.fromstring(f"<svg>{markup}</svg>")


@given(st.lists(st.none() | NUMBERS, max_size=40), DIRECTIONS, st.none() | FINITE)
def test_history_is_sound_svg(
    values: list[float | None], direction: str, base: float | None
) -> None:
    """Any values, NaN and infinities among them, give well-formed SVG without NaN."""
    objective = Objective(metric="miou", direction=direction)
    folded = fold_history(points(values, objective), objective, base=base)
    tree = parsed(draw_history(folded, name="miou"))
    assert len(tree.findall(".//*[@data-trial]")) == len(values)


@pytest.mark.parametrize(
    ("axis", "places"), [("trials", (1, 2, 3)), ("epochs", (5, 5, 9)), ("hours", (1, 1, 2))]
)
def test_history_lies_along_the_axis_asked_for(axis: Any, places: tuple[float, ...]) -> None:
    """Where it is not known what was spent, a trial lies with the one before it."""
    objective = Objective(metric="miou")
    spent = [(5, 3600.0), (None, None), (9, 7200.0)]
    found = [
        point._replace(epochs=epochs, device_seconds=seconds)
        for point, (epochs, seconds) in zip(points([0.1, 0.2, 0.3], objective), spent, strict=True)
    ]
    folded = fold_history(found, objective, axis=axis)
    assert tuple(mark.place for mark in folded.marks) == places
    assert folded.x.high == places[-1]


@given(st.lists(st.none() | FINITE, max_size=60), DIRECTIONS)
def test_best_line_only_gets_better(values: list[float | None], direction: str) -> None:
    """The staircase is strictly monotone in the objective's direction."""
    objective = Objective(metric="miou", direction=direction)
    folded = fold_history(points(values, objective), objective)
    assert all(objective.is_better(new, old) for (_, old), (_, new) in pairwise(folded.best))
    assert all(early < late for (early, _), (late, _) in pairwise(folded.best))


@given(st.integers(0, 3000), st.integers(1, 200))
def test_history_keeps_improvements_when_thinned(count: int, limit: int) -> None:
    """However few points are drawn, each step of the best line has its mark."""
    objective = Objective(metric="miou")
    values: list[float | None] = [(index * 7919 % 997) / 997 for index in range(count)]
    folded = fold_history(points(values, objective), objective, limit=limit)
    drawn = {mark.place for mark in folded.marks}
    assert {place for place, _ in folded.best} <= drawn
    assert len(drawn) <= limit + len(folded.best)


@given(
    st.lists(st.lists(NUMBERS, max_size=80), max_size=12),
    st.lists(st.sampled_from(list(TrialState)), min_size=12, max_size=12),
)
def test_curves_are_sound_svg(series: list[list[float]], states: list[TrialState]) -> None:
    """Any curves give well-formed SVG with one path for each that has a finite value."""
    curves = [
        Curve.model_construct(
            trial=number,
            state=states[number],
            steps=tuple(range(1, len(values) + 1)),
            values=tuple(values),
        )
        for number, values in enumerate(series)
    ]
    folded = fold_curves(curves, best=0, epochs=50)
    tree = parsed(draw_curves(folded, name="miou"))
    finite = [values for values in series if any(map(math.isfinite, values))]
    assert len(tree.findall(".//path")) == len(finite)


def test_running_curves_are_drawn_last() -> None:
    """Ended ones lie below, the best above them, running ones on top."""
    states = [TrialState.RUNNING, TrialState.COMPLETED, TrialState.PRUNED]
    curves = [
        Curve(trial=number, state=state, steps=(1, 2), values=(0.1, 0.2))
        for number, state in enumerate(states)
    ]
    folded = fold_curves(curves, best=1, epochs=2)
    assert [line.role for line in folded.lines] == ["ended", "best", "running"]


def test_a_long_curve_keeps_its_ends() -> None:
    """Thinning keeps the first and the last epoch."""
    steps = tuple(range(1, 1001))
    curve = Curve(trial=0, state=TrialState.RUNNING, steps=steps, values=steps)
    line = fold_curves([curve], points=50).lines[0]
    assert (line.points[0][0], line.points[-1][0]) == (1, 1000)
    assert len(line.points) <= 52


def test_a_failed_value_is_told_by_its_sign() -> None:
    """A failed trial is a cross, not a dot that only its colour tells apart."""
    objective = Objective(metric="miou")
    ended = [
        HistoryRow(trial=0, state=TrialState.COMPLETED, value=0.5, best=0.5),
        HistoryRow(trial=1, state=TrialState.FAILED, value=0.45, best=0.5),
    ]
    tree = parsed(draw_history(fold_history(ended, objective), name="miou"))
    assert [item.text for item in tree.findall(".//text[@class='glyph failed']")] == ["×"]


@given(st.dictionaries(st.sampled_from(ENDED), st.integers(0, 10**6)), st.integers(0, 10**6))
def test_stack_never_overflows(counts: dict[str, int], total: int) -> None:
    """Segments follow each other and end within the bar, even beyond the budget."""
    tree = parsed(draw_stack(counts, total))
    segments = tree.findall(".//rect[@x]")
    starts = [float(r.get("x", "")[:-1]) for r in segments]
    ends = [
        start + float(r.get("width", "")[:-1]) for start, r in zip(starts, segments, strict=True)
    ]
    assert starts == sorted(starts)
    # Places and widths are each rounded to a hundredth of a percent.
    assert all(end <= after + 0.015 for end, after in zip(ends, [*starts[1:], 100], strict=False))


@given(st.one_of(st.none(), NUMBERS))
def test_bar_is_sound_svg(share: float | None) -> None:
    """Shares outside 0 to 1 are cut, unknown ones are empty."""
    assert len(parsed(draw_bar(share)).findall(".//rect")) == 2


@given(st.lists(st.floats(0, 1), max_size=9))
def test_labels_keep_their_distance(places: list[float]) -> None:
    """Labels come apart by the gap, in their order, and none above the top."""
    moved = spread(places, 0.05)
    order = sorted(range(len(places)), key=lambda index: places[index])
    assert all(moved[b] - moved[a] >= 0.05 - 1e-9 for a, b in pairwise(order))
    assert max(moved, default=0) <= 1 + 1e-9


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_an_axis_has_two_ticks_at_least(low: float, width: float) -> None:
    """Two numbers tell how far apart things are, where one would not."""
    assert len(linear((low, low + width), count=4).ticks) >= 2


@given(st.lists(FINITE, max_size=30), st.booleans())
def test_axes_hold_their_ticks(values: list[float], whole: bool) -> None:
    """Every axis has a length, and its ticks lie on it."""
    for axis in (
        linear(values, whole=whole),
        robust(values, better_high=whole),
        trimmed(values),
    ):
        assert axis.low < axis.high
        slack = (axis.high - axis.low) / 1000
        assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)
        assert all(0 <= axis.position(value) <= 1 for value in values)


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ((0.0, 20.0), ["0", "5", "10", "15", "20"]),
        ((0, 10_000), ["0", "2,000", "4,000", "6,000", "8,000", "10,000"]),
    ],
)
def test_ticks_are_round(ends: tuple[float, float], labels: list[str]) -> None:
    """Ticks fall on round numbers with just enough decimals."""
    axis = linear(ends)
    assert [axis.label(tick) for tick in axis.ticks] == labels


def test_robust_axis_cuts_off_collapsed_trials() -> None:
    """One trial at zero does not press the others into a line."""
    axis = robust([0.01, 0.48, 0.49, 0.5, 0.51], better_high=True)
    assert axis.low > 0.4


@given(st.text())
def test_svg_text_is_escaped(text: str) -> None:
    """Hostile text stays text, whatever characters it holds."""
    tree = ElementTree.fromstring(svg.element("g", svg.element("title", text), id_=text))
    assert [child.tag for child in tree.iter()] == ["g", "title"]


def test_svg_refuses_a_coordinate_that_is_no_number() -> None:
    """A NaN that slips through is an error here, not a broken picture there."""
    with pytest.raises(ValueError, match="coordinate"):
        svg.element("circle", cx=math.nan)
