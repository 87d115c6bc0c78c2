"""Stops a trial whose value leaves fixed bounds; peers do not matter."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.spec.messages import Action, Verdict

OBJECTIVES = "one"  # bounds are of a metric, not of a rank
PEERS = False


def judged_steps(
    context: PruningContext,
    *,
    lower: float | None = None,
    upper: float | None = None,
    warmup: int = 0,
) -> frozenset[int] | None:
    """Every epoch after the warm-up."""
    first = max(warmup, context.warmup) + 1
    return None if first == 1 else frozenset(range(first, context.epochs))


def should_prune(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    lower: float | None = None,
    upper: float | None = None,
    warmup: Annotated[int, Field(ge=0)] = 0,
) -> Verdict:
    """Go on within the bounds; a value that is no number is outside of them."""
    metric, step, value = context.objective.metric, trial.step, trial.values[trial.step]
    if step <= max(warmup, context.warmup) or (lower is None and upper is None):
        return Verdict()
    if not isfinite(value):
        reason = f"{metric} at epoch {step} is not a number"
    elif lower is not None and value < lower:
        reason = f"{metric} {value:.3f} at epoch {step} is below the lower bound {lower:g}"
    elif upper is not None and value > upper:
        reason = f"{metric} {value:.3f} at epoch {step} is above the upper bound {upper:g}"
    else:
        return Verdict()
    return Verdict(action=Action.PRUNE, reason=reason)
