"""Stops a trial whose value leaves fixed bounds; peers do not matter."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pruner
from tuner.search.rungs import describe
from tuner.spec.messages import Action, Verdict

OBJECTIVES = "one"  # bounds are of a metric, not of a rank
PEERS = False


def build(
    *,
    lower: float | None = None,
    upper: float | None = None,
    warmup: Annotated[int, Field(ge=0)] = 0,
) -> Pruner:
    """Give the pruner; a bound that is None does not hold, and the first `warmup` epochs pass."""
    return Threshold(lower=lower, upper=upper, warmup=warmup)


@dataclass(frozen=True, kw_only=True)
class Threshold(Pruner):
    """Holds each trial to its bounds, by itself."""

    lower: float | None
    upper: float | None
    warmup: int

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """Every epoch after the warm-up."""
        first = max(self.warmup, context.warmup) + 1
        return None if first == 1 else frozenset(range(first, context.epochs))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Go on within the bounds; what is not a number is outside of them."""
        metric, step, value = context.objective.metric, trial.step, trial.values[trial.step]
        lower, upper = self.lower, self.upper
        if step <= max(self.warmup, context.warmup) or (lower is None and upper is None):
            return Verdict()
        if not isfinite(value):
            reason = f"{metric} at epoch {step} is not a number"
        elif lower is not None and value < lower:
            reason = f"{describe(trial, step, context)} is below the lower bound {lower:g}"
        elif upper is not None and value > upper:
            reason = f"{describe(trial, step, context)} is above the upper bound {upper:g}"
        else:
            return Verdict()
        return Verdict(action=Action.PRUNE, reason=reason)
