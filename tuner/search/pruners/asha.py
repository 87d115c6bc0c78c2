"""Asynchronous successive halving (Li et al. 2020), in the form that stops and never waits.

At each rung a trial goes on if it is among the best 1/eta of all that have reached the rung so
far. For trials without checkpoints; `promote` is the form that loses nobody.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.spec.messages import Action, Verdict


def judged_steps(
    context: PruningContext, *, eta: int = 3, min_step: int | None = None, merge: bool = True
) -> frozenset[int] | None:
    """The rungs."""
    return frozenset(rungs.ladder(context, eta=eta, min_step=min_step))


def should_prune(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    merge: bool = True,
) -> Verdict:
    """Judge at a rung; with fewer than eta trials there, go on."""
    step = trial.step
    if step not in rungs.ladder(context, eta=eta, min_step=min_step, merge=merge):
        return Verdict()
    value = trial.values[step]
    if not isfinite(value):
        reason = f"{context.objective.metric} at epoch {step} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    found = rungs.rank_at_rung(trial, peers, context)
    if found.reached < eta:
        return Verdict()
    bar = context.objective.key(float(found.keys[rungs.quota(found.reached, eta=eta) - 1]))
    if not context.objective.is_better(bar, value):
        return Verdict()
    words, side = rungs.describe(trial, step, context), rungs.worse_side(context)
    best = f"the best {rungs.fraction(eta)} of {found.reached} trials ({bar:.3f})"
    reason = f"{words} is {side} {best}"
    return Verdict(action=Action.PRUNE, reason=reason)
