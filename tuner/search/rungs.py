"""Successive halving's rungs: where trials are compared, and how many of them go on.

Rungs grow by eta from about 1/17 of the budget, past warm-up: a lower one compares noise. On
learning curves of 52 epochs a first rung at 1 made a model-based search no better than a random
one, 3 was best and 9 close.
"""

from collections.abc import Iterable
from math import isfinite

from tuner.search.course import Course, Setting

_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}


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


def standing(courses: Iterable[Course], step: int, setting: Setting) -> list[Course]:
    """All trials that have reached a rung, the best first; what is no number comes last."""
    there = [course for course in courses if step in course.values]
    return sorted(there, key=lambda course: _place(course, step, setting))


def places(reached: int, *, eta: int, closing: bool = False) -> int:
    """How many of those that reached a rung may go on; the leader does when no more will come."""
    return max(reached // eta, 1 if closing else 0)


def share(eta: int) -> str:
    """The part of the trials that goes on, in words."""
    return _SHARES.get(eta, f"1/{eta}")


def told(course: Course, step: int, setting: Setting) -> str:
    """Metric, value and epoch of a trial at a rung, in words."""
    return f"{setting.objective.metric} {course.values[step]:.3f} at epoch {step}"


def side(setting: Setting) -> str:
    """Where a weaker value lies."""
    return "below" if setting.objective.direction == "maximize" else "above"


def _place(course: Course, step: int, setting: Setting) -> tuple[bool, float, int]:
    value = course.values[step]
    finite = isfinite(value)
    return not finite, setting.objective.key(value) if finite else 0.0, course.number


def _smallest(setting: Setting) -> int:
    """About 1/17 of the budget (20 epochs: 2, 52 epochs: 3), past warm-up, 1 only if it must."""
    wanted = max(round(setting.epochs / 17), setting.warmup + 1, 2)
    return max(1, min(wanted, setting.epochs // 2))
