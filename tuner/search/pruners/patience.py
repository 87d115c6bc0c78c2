"""Stops a trial that has not improved on itself for a number of epochs; peers do not matter."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pruner
from tuner.spec.messages import Action, Verdict
from tuner.wording import quantity

OBJECTIVES = "one"  # a trial's own past has no rank among others
PEERS = False


def build(
    *,
    epochs: Annotated[int, Field(ge=1)] = 10,
    min_delta: Annotated[float, Field(ge=0)] = 0.0,
    warmup: Annotated[int, Field(ge=0)] = 0,
) -> Pruner:
    """Give the pruner that waits `epochs` for an improvement by more than `min_delta`."""
    return Patience(epochs=epochs, min_delta=min_delta, warmup=warmup)


@dataclass(frozen=True, kw_only=True)
class Patience(Pruner):
    """Compares a trial with its own past."""

    epochs: int
    min_delta: float
    warmup: int

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """Every epoch."""
        return None

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Go on while one of the last `epochs` is better than all before by more than the delta."""
        objective, step = context.objective, trial.step
        keys = {at: objective.key(v) for at, v in trial.values.items() if isfinite(v)}
        recent = [key for at, key in keys.items() if at > step - self.epochs]
        before = [key for at, key in keys.items() if at <= step - self.epochs]
        if step <= max(self.warmup, context.warmup) + self.epochs or not before:
            return Verdict()
        if recent and min(recent) < min(before) - self.min_delta:
            return Verdict()
        best = objective.key(min(before))  # the key of a key is the value
        reason = (
            f"{objective.metric} did not improve on {best:.3f} by more than {self.min_delta:g} in "
            f"{quantity(self.epochs, 'epoch')}, up to epoch {step}"
        )
        return Verdict(action=Action.PRUNE, reason=reason)
