"""Charts of how params and results relate: what is folded, whatever the trials are."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.dashboard.charts.contour import draw_contour, fold_contour
from api.dashboard.charts.dimensions import MISSING, param_axes, place_of, scattered
from api.dashboard.charts.edf import draw_edf, fold_edf
from api.dashboard.charts.effects import by_effect
from api.dashboard.charts.pairs import ParamPair, cell_of, cells, pair_of
from api.dashboard.charts.parallel import BEHIND, LINES, draw_parallel, fold_parallel
from api.dashboard.charts.ranks import draw_ranks, fold_ranks
from api.dashboard.charts.slices import draw_slice, fold_slices
from tests.dashboard.relations import spec, study, trial, trials
from tuner.service.trial_points import StudyPoints, TrialPoint
from tuner.spec.states import TrialState

TRIALS = trials()
FEW = settings(max_examples=25, deadline=None)  # a list of trials takes a while to draw
DIRECTIONS = st.sampled_from(["maximize", "minimize"])


def _pair(points: StudyPoints) -> ParamPair:
    found = pair_of(points, "optimizer.lr", "optimizer.momentum", "trained")
    assert found is not None
    return found


def _best(points: StudyPoints) -> float | None:
    """The best value that a chart of all trained trials may show as such."""
    values = [
        one.value
        for one in points.trials
        if one.value is not None and one.matches and one.feasible is not False
    ]
    if not values:
        return None
    return max(values) if points.objective.direction == "maximize" else min(values)


@FEW
@given(trials=TRIALS, direction=DIRECTIONS)
def test_parallel_lines_are_within_the_axes(trials: tuple[TrialPoint, ...], direction: str) -> None:
    """One place per axis, between its ends, or none where a trial lacks the param."""
    folded = fold_parallel(study(*trials, direction=direction), among="trained")
    assert all(len(one.places) == len(folded.axes) for one in folded.lines)
    assert all(0 <= at <= 10_000 for one in folded.lines for at in one.places if at is not None)
    assert folded.axes[-1].axis.path == "miou"
    draw_parallel(folded)


@FEW
@given(trials=TRIALS, direction=DIRECTIONS)
def test_the_best_is_always_drawn(trials: tuple[TrialPoint, ...], direction: str) -> None:
    """However few of the trials are."""
    points = study(*trials, direction=direction)
    best = _best(points)
    values = {one.number: one.value for one in trials}
    assert values.get(fold_parallel(points, among="trained").best or -1, best) in {best, None}
    few = fold_slices(points, among="trained", limit=1)
    assert (few.best in few.numbers) is (best is not None)


def test_ten_thousand_lines_are_sampled_and_counted() -> None:
    """What is drawn is bounded; what there is is said; the best is on top."""
    found = [trial(n, n % 977 / 1000, matches=n % 3 > 0) for n in range(10_000)]
    folded = fold_parallel(study(*found))
    assert folded.trials == 10_000
    assert folded.matching == sum(one.matches for one in found)
    assert LINES * 0.8 < folded.shown <= LINES + 1
    assert len(folded.lines) - folded.shown <= BEHIND
    assert folded.lines[-1].trial == folded.best
    assert folded.lines[-1].value == pytest.approx(0.976)


def test_axes_are_those_asked_for_in_order() -> None:
    """Unknown names are passed over; the rest can be shown; the metric stays last."""
    points = study(*(trial(n, n / 10) for n in range(5)))
    folded = fold_parallel(points, asked=("training.epochs", "gone", "optimizer.lr"))
    paths = [one.axis.path for one in folded.axes]
    assert paths == ["training.epochs", "optimizer.lr", "miou"]
    assert {axis.path for axis in folded.hidden} == set(points.space.root) - set(paths)


def test_what_decides_comes_first() -> None:
    """A param that the values follow stands before those that they do not."""
    found = [
        trial(
            n,
            (n % 10) / 10,
            params={
                "optimizer.momentum": 0.5 + n % 10 * 0.04,
                "training.batch_size": 4 * 2 ** (n % 3),
            },
        )
        for n in range(60)
    ]
    axes = param_axes(spec().space, [one.params for one in found])
    assert by_effect(found, axes)[0] == "optimizer.momentum"


@FEW
@given(trials=TRIALS)
def test_only_completed_trials_are_compared_where_there_are_enough(
    trials: tuple[TrialPoint, ...],
) -> None:
    """A trial that was stopped early has the value of an early epoch."""
    points = study(*trials)
    completed = sum(one.state is TrialState.COMPLETED and one.value is not None for one in trials)
    known = sum(one.value is not None for one in trials)
    folded = fold_parallel(points)
    assert folded.among == ("completed" if completed >= min(5, known) else "trained")
    assert folded.trials == (completed if folded.among == "completed" else known)


@FEW
@given(trials=TRIALS, direction=DIRECTIONS)
def test_each_cell_says_the_best_of_its_trials(
    trials: tuple[TrialPoint, ...], direction: str
) -> None:
    """Every trial is in one cell, and no cell is better than the best."""
    points = study(*trials, direction=direction)
    pair = _pair(points)
    folded = fold_contour(points, pair)
    assert sum(cell.trials for cell in folded.cells) == len(pair.trials)
    values = {one.number: one.value or 0.0 for one in pair.trials}
    assert all(cell.value == pytest.approx(values[cell.trial], rel=1e-5) for cell in folded.cells)
    draw_contour(folded)


@FEW
@given(trials=TRIALS)
def test_cells_cover_an_axis_without_overlap(trials: tuple[TrialPoint, ...]) -> None:
    """Each place is in one stretch; trials without the param have one of their own."""
    for axis in param_axes(spec().space, [one.params for one in trials]).values():
        stretches = cells(axis, len(trials))
        assert all(
            low[1] == pytest.approx(high[0]) for low, high in pairwise(stretches) if low != MISSING
        )
        for one in trials:
            assert cell_of(stretches, place_of(axis, one.params)) is not None


@FEW
@given(trials=TRIALS, direction=DIRECTIONS)
def test_ranks_run_from_worst_to_best(trials: tuple[TrialPoint, ...], direction: str) -> None:
    """A better value never has a lower rank, and equal ones have the same."""
    points = study(*trials, direction=direction)
    folded = fold_ranks(points, _pair(points))
    sign = 1 if direction == "maximize" else -1
    ordered = sorted(folded.dots, key=lambda dot: sign * dot.value)
    assert all(
        one.good <= other.good for one, other in pairwise(ordered) if one.value != other.value
    )
    assert all(0 <= dot.good <= 10_000 for dot in folded.dots)
    draw_ranks(folded)


@FEW
@given(trials=TRIALS)
def test_distributions_rise_to_all_trials(trials: tuple[TrialPoint, ...]) -> None:
    """Each staircase ends at one, and never falls."""
    folded = fold_edf([study(*trials)])
    for one in folded.stairs:
        assert one.steps[-1][1] == 1
        assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(one.steps))
    draw_edf(folded)


@FEW
@given(trials=TRIALS)
def test_slices_have_a_place_for_each_trial(trials: tuple[TrialPoint, ...]) -> None:
    """On the axis, or where trials without the param are."""
    folded = fold_slices(study(*trials), among="trained")
    for panel in folded.panels:
        assert len(panel.places) == len(folded.numbers)
        assert all(MISSING[0] * 10_000 <= place <= 10_001 for place in panel.places)
        draw_slice(folded, panel)


def test_equal_choices_are_drawn_side_by_side() -> None:
    """Within their own part of the axis."""
    found = [trial(n, 0.5) for n in range(50)]
    axis = param_axes(spec().space, [one.params for one in found])["optimizer.name"]
    places = {scattered(axis, one.params, one.number) for one in found}
    assert len(places) == len(found)
    assert all(5_000 < place < 10_000 for place in places)


def test_numbers_beyond_the_space_widen_the_axis() -> None:
    """A trial asked for by hand may lie outside; zero on a log axis makes it a linear one."""
    space = spec().space
    wide = param_axes(space, [{"optimizer.lr": 3.0}])["optimizer.lr"]
    assert (wide.high, wide.log, place_of(wide, {"optimizer.lr": 3.0})) == (3.0, True, 1.0)
    zero = param_axes(space, [{"optimizer.lr": 0.0}])["optimizer.lr"]
    assert (zero.low, zero.log, place_of(zero, {"optimizer.lr": 0.0})) == (0.0, False, 0.0)


def test_nothing_searched_makes_no_pair() -> None:
    """Two params are needed for a chart over two."""
    points = study(trial(0, 0.5))
    empty = StudyPoints(
        points.id,
        points.name,
        type(points.space)({}),
        points.objective,
        points.trials,
        points.fields,
    )
    assert pair_of(empty, None, None, None) is None
    assert [one.axis.path for one in fold_parallel(empty).axes] == ["miou"]
