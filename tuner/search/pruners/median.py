"""Stops a trial whose best value so far is worse than the median of its peers at this epoch.

The rule of Google Vizier (Golovin et al. 2017) as Optuna and others apply it.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import Annotated

from pydantic import Field

from tuner.search.learning_curve import LearningCurve, PruningContext, peer_values
from tuner.spec.messages import Action, Verdict


def judged_steps(
    context: PruningContext, *, startup: int = 5, warmup: int = 0, interval: int = 1
) -> frozenset[int] | None:
    """Every `interval`-th epoch after the warm-up; None: every epoch."""
    first = max(warmup, context.warmup) + 1
    if first == 1 and interval == 1:
        return None
    return frozenset(range(first, context.epochs, interval))


def should_prune(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    startup: Annotated[int, Field(ge=1)] = 5,
    warmup: Annotated[int, Field(ge=0)] = 0,
    interval: Annotated[int, Field(ge=1)] = 1,
) -> Verdict:
    """Judge by the peers' values at this step; with fewer than `startup` of them, continue."""
    step = max(trial.values)
    others = peer_values(trial, peers, step)
    if len(others) < startup:
        return Verdict()
    objective = context.objective
    so_far = [value for value in trial.values.values() if isfinite(value)]
    middle = median(others)
    if not so_far:
        reason = f"{objective.metric} was never a number up to epoch {step}"
        return Verdict(action=Action.PRUNE, reason=reason)
    best = min(so_far, key=objective.key)
    if not objective.is_better(middle, best):
        return Verdict()
    worse_side = "below" if objective.direction == "maximize" else "above"
    reason = (
        f"best {objective.metric} {best:.3f} up to epoch {step} is {worse_side} the median "
        f"of {len(others)} trials ({middle:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
