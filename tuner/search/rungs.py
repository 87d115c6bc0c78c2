"""Successive halving's rungs: where trials are compared, and how many of them go on.

Rungs grow by eta from about 1/17 of the budget, past warm-up: a lower one compares noise. On
learning curves of 52 epochs a first rung at 1 made a model-based search no better than a random
one, 3 was best and 9 close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tuner.search.course import Course, Setting
from tuner.search.field import Field, Floats, as_field

_COMPARED = 3  # trials at a rung before their order says anything
_DEAREST = 4.0  # times the median pace: beyond, the price alone would decide
_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial among all that reached a rung: its place from 0, their number, their sorted keys.

    `price` is its seconds per step against the median trial's there, 1 where it does not count.
    """

    place: int
    reached: int
    keys: Floats
    price: float = 1.0

    @property
    def claim(self) -> float:
        """The place that counts: a dear trial must stand higher to go on, a cheap one lower."""
        return self.place * self.price


def ladder(
    setting: Setting, *, eta: int, min_step: int | None, merge: bool = True
) -> tuple[int, ...]:
    """The rungs, rising: the smallest and its multiples by eta, short of the full budget.

    With `merge`, those that were found to say nothing of the next are left out.
    """
    step = min_step or _smallest(setting)
    found = []
    while step < setting.epochs:
        found.append(step)
        step *= eta
    return tuple(step for step in found if not (merge and step in setting.skipped))


def standing(
    trial: Course, peers: Sequence[Course], setting: Setting, *, cost_aware: bool = False
) -> Standing:
    """Where a trial with a finite value stands at its last step; of equals the older is first."""
    field, step = as_field(peers), trial.step
    keys, numbers = _reached(field, step, setting)
    others = numbers != trial.number
    own = setting.objective.key(trial.values[step])
    ahead = (keys < own) | ((keys == own) & (numbers < trial.number))
    price = 1.0
    if cost_aware:
        paces = field.paces[np.isfinite(field.column(step))][others]
        price = float(_prices(np.append(paces, trial.pace))[-1])
    keys = np.sort(np.append(keys[others], own))
    return Standing(int((ahead & others).sum()), len(keys), keys, price)


def promotable(
    field: Field, step: int, setting: Setting, *, eta: int, cost_aware: bool = False
) -> list[tuple[int, int]]:
    """Number and place of each trial that stands paused at a rung and may go on.

    The one with the best claim is first.
    """
    keys, numbers = _reached(field, step, setting)
    order = np.lexsort((numbers, keys))
    claims = np.arange(len(keys), dtype=float)
    if cost_aware:
        claims *= _prices(field.paces[np.isfinite(field.column(step))])[order]
    paused = field.paused_at(step)[np.isfinite(field.column(step))][order]
    go_on = places(len(keys), eta=eta, closing=setting.closing)
    found = np.flatnonzero(paused & (claims < go_on))
    found = found[np.argsort(claims[found], kind="stable")]
    return [(int(numbers[order[place]]), int(place)) for place in found]


def ceiling(field: Field, ladder: Sequence[int], setting: Setting) -> int:
    """The highest step that trials may reach, as in PASHA (Bohdal et al. 2023).

    A rung is passed only once the order of the trials there differs from their order at the rung
    below: while they agree, more training would not change the choice.
    """
    for below, step in pairwise(ladder):
        keys, numbers = _reached(field, step, setting)
        before = field.column(below)[np.isfinite(field.column(step))] * setting.objective.key(1.0)
        if len(numbers) < _COMPARED or (np.argsort(keys) == np.argsort(before)).all():
            return step
    return setting.epochs


def places(reached: int, *, eta: int, closing: bool = False) -> int:
    """How many of those that reached a rung may go on; the leader does when no more will come."""
    return max(reached // eta, 1 if closing and reached else 0)


def share(eta: int) -> str:
    """The part of the trials that goes on, in words."""
    return _SHARES.get(eta, f"1/{eta}")


def told(course: Course, step: int, setting: Setting) -> str:
    """Metric, value and epoch of a trial at a rung, in words."""
    return f"{setting.objective.metric} {course.values[step]:.3f} at epoch {step}"


def side(setting: Setting) -> str:
    """Where a weaker value lies."""
    return "below" if setting.objective.direction == "maximize" else "above"


def _reached(field: Field, step: int, setting: Setting) -> tuple[Floats, np.ndarray]:
    """Keys, of which less is better, and numbers of all trials with a finite value at a step."""
    values = field.column(step)
    finite = np.isfinite(values)
    keys: Floats = setting.objective.key(1.0) * values[finite]
    return keys, field.numbers[finite]


def _prices(paces: Floats) -> Floats:
    """Seconds per step against the median of those that are known, within bounds."""
    known = paces[paces > 0]
    if not len(known):
        return np.ones_like(paces)
    prices: Floats = np.where(paces > 0, paces / np.median(known), 1.0)
    return np.clip(prices, 1 / _DEAREST, _DEAREST)


def _smallest(setting: Setting) -> int:
    """About 1/17 of the budget (20 epochs: 2, 52 epochs: 3), past warm-up, 1 only if it must."""
    wanted = max(round(setting.epochs / 17), setting.warmup + 1, 2)
    return max(1, min(wanted, setting.epochs // 2))
