"""Asynchronous successive halving (Li et al. 2020), in the form that stops and never waits.

At each rung a trial goes on if it is among the best 1/eta of all that have reached the rung so
far. For trials without checkpoints; `promote` is the form that loses no trial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pruner, not_a_number
from tuner.spec.messages import Action, Verdict
from tuner.wording import quantity


def build(
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    merge: bool = True,
) -> Pruner:
    """Give the pruner that lets 1/`eta` of the trials pass a rung, from `min_step` on.

    `merge` leaves out rungs that say nothing of the next.
    """
    return Asha(eta=eta, min_step=min_step, merge=merge)


@dataclass(frozen=True, kw_only=True)
class Asha(Pruner):
    """Stops what is not among the best at a rung."""

    eta: int
    min_step: int | None
    merge: bool

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """The rungs."""
        return frozenset(rungs.ladder(context, eta=self.eta, min_step=self.min_step))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Judge at a rung; with fewer than eta trials there, go on."""
        step = trial.step
        ladder = rungs.ladder(context, eta=self.eta, min_step=self.min_step, merge=self.merge)
        if step not in ladder:
            return Verdict()
        value = trial.values[step]
        if not isfinite(value):
            return not_a_number(step, context)
        found = rungs.rank_at_rung(trial, peers, context)
        if found.reached < self.eta:
            return Verdict()
        last = rungs.quota(found.reached, eta=self.eta) - 1
        bar = context.objective.key(float(found.keys[last]))  # the key of a key is the value
        if not context.objective.is_better(bar, value):
            return Verdict()
        words, worse = rungs.describe(trial, step, context), rungs.worse_word(context)
        best = (
            f"the best {rungs.fraction(self.eta)} of {quantity(found.reached, 'trial')} ({bar:.3f})"
        )
        return Verdict(action=Action.PRUNE, reason=f"{words} is {worse} {best}")

    def survivors(self, trials: int, steps: Sequence[int]) -> Mapping[int, float]:
        """Of the trials at a rung 1 in eta goes beyond."""
        return rungs.survivors(trials, steps, eta=self.eta)
