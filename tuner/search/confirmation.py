"""Confirmation: the leaders of a search trained again with fresh seeds, and what that says.

The value that made a trial a leader is the luckiest of many and so too good (the winner's curse);
leaders are ranked by the mean of their fresh seeds alone. All of them train with the same seeds,
so that what a seed does to everybody cancels in their difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import atan, cos, inf, isfinite, isnan, pi, sin, sqrt
from statistics import fmean, stdev

from tuner.search.analysis import is_feasible, pareto_front
from tuner.spec.study import Objective, StudySpec

NOISE = 0.05  # a lead with a larger p-value may well be chance


@dataclass(frozen=True, slots=True)
class Rerun:
    """A leader's training with the fresh seed of place `seed`; no metrics unless it completed."""

    leader: int
    seed: int
    metrics: Mapping[str, float]
    has_ended: bool = True


@dataclass(frozen=True, slots=True)
class LeaderResult:
    """A leader: its value in the search, and its values by place of the fresh seed.

    `others` has those of further objectives by metric; `is_on_front` says whether no other
    leader's means beat its own in all objectives, and is None with one objective.
    """

    trial: int
    searched: float
    values: Mapping[int, float]
    lost: int
    is_feasible: bool
    others: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    is_on_front: bool | None = None

    @property
    def mean(self) -> float | None:
        """Mean over fresh seeds; None without any."""
        return fmean(self.values.values()) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of one training (n - 1); None with fewer than two."""
        return spread(self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first leader against the second, over the seeds that both completed."""

    lead: float
    pairs: int
    p_value: float | None

    @property
    def is_noise(self) -> bool:
        """Whether chance alone may well have made the lead."""
        return self.p_value is None or self.p_value > NOISE


def ranked_leaders(
    spec: StudySpec, leaders: Mapping[int, float], reruns: Iterable[Rerun]
) -> tuple[LeaderResult, ...]:
    """The leaders by rank.

    Those that keep the constraints in the mean come first, then by mean of the fresh seeds;
    those without any completed come last, in the order of their value in the search.
    """
    by_leader: dict[int, list[Rerun]] = {number: [] for number in leaders}
    for rerun in reruns:
        if rerun.leader in by_leader:
            by_leader[rerun.leader].append(rerun)
    found = [_result(spec, number, leaders[number], own) for number, own in by_leader.items()]
    if len(spec.objectives) > 1:
        found = _with_front(spec, found)
    return tuple(sorted(found, key=lambda result: _rank(spec.objective, result)))


def spread(values: Mapping[int, float]) -> float | None:
    """Standard deviation of one training (n - 1); None with fewer than two."""
    return stdev(values.values()) if len(values) > 1 else None


def compare(first: LeaderResult, second: LeaderResult, objective: Objective) -> Comparison | None:
    """Paired t-test (Student 1908), two-sided; None if no seed was completed by both."""
    shared = sorted(first.values.keys() & second.values.keys())
    if not shared:
        return None
    sign = 1.0 if objective.direction == "maximize" else -1.0
    leads = [sign * (first.values[seed] - second.values[seed]) for seed in shared]
    return Comparison(fmean(leads), len(leads), _p_value(leads))


def _result(spec: StudySpec, number: int, searched: float, reruns: Sequence[Rerun]) -> LeaderResult:
    first, *others = [objective.metric for objective in spec.objectives]
    complete = [
        rerun
        for rerun in reruns
        if all(isfinite(rerun.metrics.get(name, inf)) for name in (first, *others))
    ]
    return LeaderResult(
        trial=number,
        searched=searched,
        values={rerun.seed: rerun.metrics[first] for rerun in complete},
        others={name: {one.seed: one.metrics[name] for one in complete} for name in others},
        lost=sum(rerun.has_ended for rerun in reruns) - len(complete),
        is_feasible=is_feasible(spec.constraints, _means([rerun.metrics for rerun in complete])),
    )


def _with_front(spec: StudySpec, found: Sequence[LeaderResult]) -> list[LeaderResult]:
    """The leaders, each with its place among the means of those that keep the constraints."""
    rated = [one for one in found if one.values and one.is_feasible]
    means = [
        [fmean(one.values.values()), *(fmean(own.values()) for own in one.others.values())]
        for one in rated
    ]
    front = {rated[index].trial for index in pareto_front(means, spec.objectives)}
    return [replace(one, is_on_front=one.trial in front) if one.values else one for one in found]


def _means(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric that all of them have."""
    shared = set.intersection(*(set(each) for each in metrics)) if metrics else set()
    return {name: fmean(each[name] for each in metrics) for name in shared}


def _rank(objective: Objective, result: LeaderResult) -> tuple[bool, bool, float, int]:
    value = result.searched if result.mean is None else result.mean
    return result.mean is None, not result.is_feasible, objective.key(value), result.trial


def _p_value(leads: Sequence[float]) -> float | None:
    if len(leads) < 2:
        return None
    error = stdev(leads) / sqrt(len(leads))
    if error == 0:
        return 1.0 if fmean(leads) == 0 else 0.0
    return two_sided(fmean(leads) / error, len(leads) - 1)


def two_sided(t: float, freedom: int) -> float:
    """Chance of a |t| at least as large (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    if isnan(t):
        return 1.0
    angle = atan(abs(t) / sqrt(freedom))
    is_odd = freedom % 2 == 1
    term, total = (cos(angle), 0.0) if is_odd else (1.0, 0.0)
    for index in range(freedom // 2):
        total += term
        below = 2 * index + (2 if is_odd else 1)
        term *= cos(angle) ** 2 * below / (below + 1)
    inside = 2 / pi * (angle + sin(angle) * total) if is_odd else sin(angle) * total
    return min(1.0, max(0.0, 1 - inside))
