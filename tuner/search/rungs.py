"""Successive halving's rungs: where trials are compared, and how many of them go on.

Rungs grow by eta from about 1/17 of the budget, past warm-up: a lower one compares noise. On
learning curves of 52 epochs a first rung at 1 made a model-based search no better than a random
one, 3 was best and 9 close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tuner.search.curve_table import CurveTable, Floats, as_table
from tuner.search.learning_curve import LearningCurve, PruningContext

_COMPARED = 3  # trials at a rung before their order says anything
_MAX_COST_RATIO = 4.0  # times the median pace: beyond, the cost alone would decide
_FRACTIONS = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}


@dataclass(frozen=True, slots=True)
class RungRank:
    """A trial's rank from 0 among all that reached a rung, their number, their sorted keys.

    `cost_ratio` is its seconds per step over the median trial's there; 1 where it does not count.
    """

    rank: int
    reached: int
    keys: Floats
    cost_ratio: float = 1.0

    @property
    def adjusted_rank(self) -> float:
        """The rank that counts: an expensive trial must rank higher to go on, a cheap one lower."""
        return self.rank * self.cost_ratio


def ladder(
    context: PruningContext, *, eta: int, min_step: int | None, merge: bool = True
) -> tuple[int, ...]:
    """The rungs, rising: the smallest and its multiples by eta, short of the full budget.

    With `merge`, those that were found to say nothing of the next are left out.
    """
    step = min_step or _smallest(context)
    found = []
    while step < context.epochs:
        found.append(step)
        step *= eta
    return tuple(step for step in found if not (merge and step in context.skipped))


def rank_at_rung(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    cost_aware: bool = False,
) -> RungRank:
    """The rank of a trial with a finite value at its last step; the older of equal ones first."""
    table, step = as_table(peers), trial.step
    keys, numbers = _reached(table, step, context)
    others = numbers != trial.number
    own = context.objective.key(trial.values[step])
    ahead = (keys < own) | ((keys == own) & (numbers < trial.number))
    cost_ratio = 1.0
    if cost_aware:
        paces = table.paces[np.isfinite(table.column(step))][others]
        cost_ratio = float(_cost_ratios(np.append(paces, trial.pace))[-1])
    keys = np.sort(np.append(keys[others], own))
    return RungRank(int((ahead & others).sum()), len(keys), keys, cost_ratio)


def promotable(
    table: CurveTable, step: int, context: PruningContext, *, eta: int, cost_aware: bool = False
) -> list[tuple[int, int]]:
    """Number and rank of each trial that is paused at a rung and may go on.

    The best adjusted rank is first.
    """
    keys, numbers = _reached(table, step, context)
    order = np.lexsort((numbers, keys))
    adjusted_ranks = np.arange(len(keys), dtype=float)
    if cost_aware:
        adjusted_ranks *= _cost_ratios(table.paces[np.isfinite(table.column(step))])[order]
    paused = table.paused_at(step)[np.isfinite(table.column(step))][order]
    go_on = quota(len(keys), eta=eta, closing=context.closing)
    found = np.flatnonzero(paused & (adjusted_ranks < go_on))
    found = found[np.argsort(adjusted_ranks[found], kind="stable")]
    return [(int(numbers[order[rank]]), int(rank)) for rank in found]


def ceiling(table: CurveTable, ladder: Sequence[int], context: PruningContext) -> int:
    """The highest step that trials may reach, as in PASHA (Bohdal et al. 2023).

    A rung is passed only once the order of the trials there differs from their order at the rung
    below: while they agree, more training would not change the choice.
    """
    for below, step in pairwise(ladder):
        keys, numbers = _reached(table, step, context)
        before = table.column(below)[np.isfinite(table.column(step))] * context.objective.key(1.0)
        if len(numbers) < _COMPARED or (np.argsort(keys) == np.argsort(before)).all():
            return step
    return context.epochs


def quota(reached: int, *, eta: int, closing: bool = False) -> int:
    """How many of those that reached a rung may go on; the leader does when no more will come."""
    return max(reached // eta, 1 if closing and reached else 0)


def survivors(trials: float, steps: Sequence[int], *, eta: int) -> dict[int, float]:
    """How many of the trials are trained up to each step, if 1 in eta goes beyond, or one does."""
    found, left = dict[int, float](), float(trials)
    for step in steps:
        found[step] = left
        left = max(left / eta, 1.0 if trials >= 1 else 0.0)
    return found


def fraction(eta: int) -> str:
    """The part of the trials that goes on, in words."""
    return _FRACTIONS.get(eta, f"1/{eta}")


def describe(curve: LearningCurve, step: int, context: PruningContext) -> str:
    """Metric, value and epoch of a trial at a rung, in words."""
    value = f"{context.objective.metric} {curve.values[step]:.3f}"
    if context.objective.counts_best:
        return f"best {value} up to epoch {step}"
    return f"{value} at epoch {step}"


def worse_word(context: PruningContext) -> str:
    """Below or above: where a weaker value lies."""
    return "below" if context.objective.direction == "maximize" else "above"


def _reached(table: CurveTable, step: int, context: PruningContext) -> tuple[Floats, np.ndarray]:
    """Keys, of which less is better, and numbers of all trials with a finite value at a step."""
    values = table.column(step)
    finite = np.isfinite(values)
    keys: Floats = context.objective.key(1.0) * values[finite]
    return keys, table.numbers[finite]


def _cost_ratios(paces: Floats) -> Floats:
    """Seconds per step against the median of those that are known, within bounds."""
    known = paces[paces > 0]
    if not len(known):
        return np.ones_like(paces)
    ratios: Floats = np.where(paces > 0, paces / np.median(known), 1.0)
    return np.clip(ratios, 1 / _MAX_COST_RATIO, _MAX_COST_RATIO)


def _smallest(context: PruningContext) -> int:
    """About 1/17 of the budget (20 epochs: 2, 52 epochs: 3), past warm-up, 1 only if it must."""
    wanted = max(round(context.epochs / 17), context.warmup + 1, 2)
    return max(1, min(wanted, context.epochs // 2))
