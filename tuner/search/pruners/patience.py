"""Stops a trial that has not improved on itself for a number of epochs; peers do not matter."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.spec.messages import Action, Verdict

OBJECTIVES = "one"  # a trial's own past has no rank among others
PEERS = False


def judged_steps(
    context: PruningContext, *, epochs: int = 10, min_delta: float = 0.0, warmup: int = 0
) -> frozenset[int] | None:
    """Every epoch."""
    return None


def should_prune(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    epochs: Annotated[int, Field(ge=1)] = 10,
    min_delta: Annotated[float, Field(ge=0)] = 0.0,
    warmup: Annotated[int, Field(ge=0)] = 0,
) -> Verdict:
    """Go on while one of the last `epochs` is better than all before by more than `min_delta`."""
    objective, step = context.objective, trial.step
    keys = {at: objective.key(v) for at, v in trial.values.items() if isfinite(v)}
    recent = [key for at, key in keys.items() if at > step - epochs]
    before = [key for at, key in keys.items() if at <= step - epochs]
    if step <= max(warmup, context.warmup) + epochs or not before:
        return Verdict()
    if recent and min(recent) < min(before) - min_delta:
        return Verdict()
    best = objective.key(min(before))  # the key of a key is the value
    reason = (
        f"{objective.metric} did not improve on {best:.3f} by more than {min_delta:g} in "
        f"{epochs} epochs, up to epoch {step}"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
