"""Two params at a time: which, and where trials lie between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.dashboard.charts.dimensions import MISSING, ParamAxis, param_axes, scattered
from api.dashboard.charts.effects import by_effect
from api.dashboard.charts.sequential import AmongTrials, best_of, chosen
from tuner.service.trial_points import StudyPoints, TrialPoint
from tuner.spec.study import Objective


@dataclass(frozen=True, slots=True)
class ParamPair:
    """Two axes and the trials over them; `paths` are all params in the order of their effect."""

    x: ParamAxis
    y: ParamAxis
    trials: tuple[TrialPoint, ...]
    best: int | None
    among: AmongTrials
    names: Mapping[str, str]


def pair_of(
    points: StudyPoints, x: str | None, y: str | None, among: AmongTrials | None
) -> ParamPair | None:
    """The two params that are asked for, else those that matter most; None with less than two."""
    among, trials = chosen(points, among)
    inside = [one for one in trials if one.matches]
    known = param_axes(points.space, [one.params for one in inside])
    if len(known) < 2:
        return None
    order = by_effect(inside, known)
    first = x if x in known else next(path for path in order if path != y)
    second = y if y in known and y != first else next(path for path in order if path != first)
    best = best_of(inside, points.objective)
    return ParamPair(
        x=known[first],
        y=known[second],
        trials=tuple(inside),
        best=best.number if best else None,
        among=among,
        names={path: known[path].name for path in order},
    )


def spot(axis: ParamAxis, one: TrialPoint) -> int:
    """Where a trial is drawn on an axis, in ten-thousandths."""
    return scattered(axis, one.params, one.number)


def cells(axis: ParamAxis, trials: int) -> tuple[tuple[float, float], ...]:
    """Stretches of an axis in which trials are taken together, the one for none first."""
    lacking = (MISSING,) if axis.has_missing else ()
    if axis.options:
        count = len(axis.options)
        return (*lacking, *((i / count, (i + 1) / count) for i in range(count)))
    steps = round(axis.high - axis.low) if axis.whole and not axis.log else 0
    if 0 < steps <= _FINEST:  # a stretch for each whole number
        half = 0.5 / steps
        return (*lacking, *((i / steps - half, i / steps + half) for i in range(steps + 1)))
    count = max(_COARSEST, min(_FINEST, round(trials**0.5)))
    return (*lacking, *((i / count, (i + 1) / count) for i in range(count)))


def cell_of(stretches: Sequence[tuple[float, float]], place: float | None) -> int | None:
    """The index of the stretch that holds a place; None where none does."""
    if place is None:
        return 0 if stretches and stretches[0] == MISSING else None
    for index, (low, high) in enumerate(stretches):
        if low <= place < high or (place == high and index == len(stretches) - 1):
            return index
    return None


_COARSEST, _FINEST = 4, 20


def keyed(trials: Sequence[TrialPoint], objective: Objective) -> list[tuple[TrialPoint, float]]:
    """Trials with how good they are by rank: 1 is the best, 0 the worst; equal ones alike."""
    ordered = sorted({objective.key(one.value or 0.0) for one in trials})
    counts: dict[float, int] = {}
    for one in trials:
        key = objective.key(one.value or 0.0)
        counts[key] = counts.get(key, 0) + 1
    shares, below = {}, 0
    for key in ordered:
        shares[key] = 1 - (below + (counts[key] - 1) / 2) / max(1, len(trials) - 1)
        below += counts[key]
    return [(one, shares[objective.key(one.value or 0.0)]) for one in trials]
