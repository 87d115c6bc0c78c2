"""Stops a trial whose best value so far is outside the better part of its peers at this epoch."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext, peer_values
from tuner.spec import shares
from tuner.spec.messages import Action, Verdict


def judged_steps(
    context: PruningContext,
    *,
    keep: float = 0.5,
    startup: int = 5,
    warmup: int = 0,
    interval: int = 1,
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
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    startup: Annotated[int, Field(ge=1)] = 5,
    warmup: Annotated[int, Field(ge=0)] = 0,
    interval: Annotated[int, Field(ge=1)] = 1,
) -> Verdict:
    """Go on among the best `keep` of the peers at this step, or with fewer than `startup`."""
    others = sorted(peer_values(trial, peers, trial.step), key=context.objective.key)
    if len(others) < startup:
        return Verdict()
    metric, step = context.objective.metric, trial.step
    so_far = [value for value in trial.values.values() if isfinite(value)]
    if not so_far:
        reason = f"{metric} was never a number up to epoch {step}"
        return Verdict(action=Action.PRUNE, reason=reason)
    best = min(so_far, key=context.objective.key)
    bar = others[shares.at_least(keep, len(others)) - 1]
    if not context.objective.is_better(bar, best):
        return Verdict()
    reason = (
        f"best {metric} {best:.3f} up to epoch {step} is {rungs.worse_side(context)} the best "
        f"{keep:.0%} of {len(others)} trials ({bar:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
