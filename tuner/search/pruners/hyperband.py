"""Hyperband (Li et al. 2018), asynchronous: several ladders side by side, each with its trials.

A trial of bracket b is spared the first b rungs, and is compared with trials of its bracket only.
Brackets hedge against a first rung that is too low; each gets about the same budget, so that the
lower ones get more trials. Within a bracket trials are paused and promoted as in `promote`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pausing, Pruner
from tuner.search.pruners.promote import Promote
from tuner.spec.messages import Verdict

PAUSES = True
_SAMPLE = 1000  # trials whose shares of the brackets a longer study is taken to have


def build(
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    brackets: Annotated[int, Field(ge=1, le=8)] = 3,
) -> Pruner:
    """Give the pruner of so many `brackets`; in each, 1/`eta` of the trials pass a rung."""
    return Hyperband(eta=eta, min_step=min_step, brackets=brackets)


@dataclass(frozen=True, kw_only=True)
class Hyperband(Pausing):
    """Compares trials within their bracket."""

    eta: int
    min_step: int | None
    brackets: int

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """The rungs of all brackets."""
        return frozenset(self._ladder(context))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Judge at a rung of the trial's bracket: go on, or pause."""
        own = self.bracket(trial.number, len(self._ladder(context)))
        alike, above = self._within(own, peers, context)
        return self._halving.should_prune(trial, alike, above)

    def promote(
        self, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, str] | None:
        """The first promotable trial, from the bracket that asks least of a trial on."""
        for own in range(self._count(len(self._ladder(context)))):
            found = self._halving.promote(*self._within(own, trials, context))
            if found is not None:
                return found
        return None

    def survivors(self, trials: int, steps: Sequence[int]) -> Mapping[int, float]:
        """Of the trials at a rung of their bracket 1 in eta goes beyond."""
        found, sample = dict.fromkeys(steps, 0.0), min(trials, _SAMPLE)
        numbers = [self.bracket(number, len(steps) - 1) for number in range(sample)]
        for own in range(self._count(len(steps) - 1)):
            share = numbers.count(own) * trials / sample
            for step in steps[:own]:
                found[step] += share
            for step, left in rungs.survivors(share, steps[own:], eta=self.eta).items():
                found[step] += left
        return found

    def bracket(self, number: int, rung_count: int) -> int:
        """The bracket of a trial: of eta^(k-1) + … + 1 in a row, eta^(k-1) are of bracket 0."""
        count = self._count(rung_count)
        shares = [self.eta ** (count - 1 - index) for index in range(count)]
        place = number % sum(shares)
        for index, share in enumerate(shares):
            if place < share:
                return index
            place -= share
        raise AssertionError("the shares add up")  # pragma: no cover

    @property
    def _halving(self) -> Promote:
        return Promote(
            eta=self.eta, min_step=self.min_step, merge=True, grow=False, cost_aware=False
        )

    def _ladder(self, context: PruningContext) -> tuple[int, ...]:
        return rungs.ladder(context, eta=self.eta, min_step=self.min_step)

    def _count(self, rung_count: int) -> int:
        return min(self.brackets, rung_count + 1)

    def _within(
        self, own: int, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[list[LearningCurve], PruningContext]:
        """The trials of a bracket, and the context without the rungs that they are spared."""
        ladder = self._ladder(context)
        alike = [one for one in trials if self.bracket(one.number, len(ladder)) == own]
        return alike, replace(context, skipped=context.skipped | set(ladder[:own]))
