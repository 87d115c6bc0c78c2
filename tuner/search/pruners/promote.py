"""Asynchronous successive halving (Li et al. 2020), in the form that pauses and promotes.

At a rung a trial goes on in place if it is among the best 1/eta of all that have reached the rung
so far; else it is paused with its checkpoint. A free worker takes the best paused trial that has
become promotable since, from the highest rung down, before a new configuration. When no new one
will be drawn, the leader of each rung goes on too: a study does not end with its best unfinished.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.curve_table import as_table
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pausing, Pruner, not_a_number
from tuner.search.rungs import RungRank
from tuner.spec.messages import Action, Verdict
from tuner.wording import quantity

PAUSES = True
STAGED = True


def build(
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> Pruner:
    """Give the pruner that lets 1/`eta` of the trials pass a rung, from `min_step` on.

    `merge` leaves out rungs that say nothing of the next; `grow` lets trials pass a rung only
    where it does not just repeat the one below; `cost_aware` multiplies a trial's rank by its
    seconds per epoch against the median's, so that an expensive one must be better to go on.
    """
    return Promote(eta=eta, min_step=min_step, merge=merge, grow=grow, cost_aware=cost_aware)


@dataclass(frozen=True, kw_only=True)
class Promote(Pausing):
    """Pauses at a rung what is not among the best there, and promotes it when it is."""

    eta: int
    min_step: int | None
    merge: bool
    grow: bool
    cost_aware: bool

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """The rungs."""
        return frozenset(rungs.ladder(context, eta=self.eta, min_step=self.min_step))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Judge at a rung: go on, or pause. What is not a number never comes back: it is pruned."""
        step, ladder = trial.step, self._ladder(context)
        if step not in ladder:
            return Verdict()
        if not isfinite(trial.values[step]):
            return not_a_number(step, context)
        found = rungs.rank_at_rung(trial, peers, context, cost_aware=self.cost_aware)
        go_on = rungs.quota(found.reached, eta=self.eta, closing=context.closing)
        if found.adjusted_rank >= go_on:
            reason = self._reason(trial, found, go_on, context)
            return Verdict(action=Action.PAUSE, reason=reason)
        if step >= self._top(peers, ladder, context):
            words = rungs.describe(trial, step, context)
            reason = f"{words} waits: the order of the trials there is that of the rung below"
            return Verdict(action=Action.PAUSE, reason=reason)
        return Verdict()

    def promote(
        self, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, str] | None:
        """The best promotable trial of the highest rung that has one."""
        table, ladder = as_table(trials), self._ladder(context)
        top = self._top(table, ladder, context)
        for step in reversed(ladder):
            if step >= top:
                continue
            found = rungs.promotable(table, step, context, eta=self.eta, cost_aware=self.cost_aware)
            if found:
                number, rank = found[0]
                words = rungs.describe(table.of(number), step, context)
                return number, f"promoted: {words} is number {rank + 1} of those there"
        return None

    def survivors(self, trials: int, steps: Sequence[int]) -> Mapping[int, float]:
        """Of the trials at a rung 1 in eta goes beyond."""
        return rungs.survivors(trials, steps, eta=self.eta)

    def _ladder(self, context: PruningContext) -> tuple[int, ...]:
        return rungs.ladder(context, eta=self.eta, min_step=self.min_step, merge=self.merge)

    def _top(
        self, trials: Sequence[LearningCurve], ladder: Sequence[int], context: PruningContext
    ) -> int:
        """The step at which trials wait however good they are; the full budget if there is none."""
        if not self.grow or context.closing:
            return context.epochs
        return rungs.ceiling(as_table(trials), ladder, context)

    def _reason(
        self, trial: LearningCurve, found: RungRank, go_on: int, context: PruningContext
    ) -> str:
        words, fraction = rungs.describe(trial, trial.step, context), rungs.fraction(self.eta)
        if go_on == 0:
            there = f"{found.reached} of {quantity(self.eta, 'trial')} are there"
            return f"{words} waits for others to compare with: {there}"
        best = f"the best {fraction} of {quantity(found.reached, 'trial')}"
        if found.rank < go_on:
            ratio = f"{found.cost_ratio:.1f}"
            return (
                f"{words} is among {best}, but an epoch takes {ratio} times the seconds of the "
                "median"
            )
        bar = context.objective.key(float(found.keys[go_on - 1]))  # the key of a key is the value
        return f"{words} is {rungs.worse_word(context)} {best} ({bar:.3f})"
