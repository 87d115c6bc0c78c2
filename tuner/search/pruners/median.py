"""Stops a trial whose best value so far is worse than the median of its peers at this epoch.

The rule of Google Vizier (Golovin et al. 2017) as Optuna and others apply it.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import Annotated

from pydantic import Field

from tuner.search.course import Course, Setting, rivals
from tuner.spec.messages import Action, Verdict


def judged_steps(
    setting: Setting, *, startup: int = 5, warmup: int = 0, interval: int = 1
) -> frozenset[int] | None:
    """Every `interval`-th epoch after the warm-up; None: every epoch."""
    first = max(warmup, setting.warmup) + 1
    if first == 1 and interval == 1:
        return None
    return frozenset(range(first, setting.epochs, interval))


def should_prune(
    trial: Course,
    peers: Sequence[Course],
    setting: Setting,
    *,
    startup: Annotated[int, Field(ge=1)] = 5,
    warmup: Annotated[int, Field(ge=0)] = 0,
    interval: Annotated[int, Field(ge=1)] = 1,
) -> Verdict:
    """Judge by the peers' values at this step; with fewer than `startup` of them, continue."""
    step = max(trial.values)
    others = rivals(trial, peers, step)
    if len(others) < startup:
        return Verdict()
    objective = setting.objective
    so_far = [value for value in trial.values.values() if isfinite(value)]
    middle = median(others)
    if not so_far:
        reason = f"{objective.metric} was never a number up to epoch {step}"
        return Verdict(action=Action.PRUNE, reason=reason)
    best = min(so_far, key=objective.key)
    if not objective.is_better(middle, best):
        return Verdict()
    side = "below" if objective.direction == "maximize" else "above"
    reason = (
        f"best {objective.metric} {best:.3f} up to epoch {step} is {side} the median "
        f"of {len(others)} trials ({middle:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
