"""Population-based training: exploit the best, explore around them, as trials train.

Jaderberg et al. 2017, without a barrier. `search.trials` is the size of the population. Every
`interval` epochs a trial is compared with the values that the others had at that epoch. One of
the worst `share` is ended, and in its place a copy of one of the best goes on from that one's
checkpoint, with another learning rate, weight decay or augmentation. The copy's config holds the
changes with their epochs, so what is found is a schedule, and trains again from nothing.

With fewer workers than trials they take turns: one that has trained an interval waits until none
has fewer epochs. All trainings together never take more epochs than the first ones would alone.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from optuna.samplers import BaseSampler, RandomSampler
from pydantic import Field

from tuner.configs.paths import may_change
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.proposers import Neighbourhood
from tuner.search.pruners._contract import Replacing, not_a_number
from tuner.search.rules import Rules
from tuner.search.rungs import describe, worse_word
from tuner.spec.messages import Action, Verdict
from tuner.spec.shares import at_most
from tuner.spec.space import Params, SearchSpace
from tuner.spec.states import TrialState
from tuner.wording import quantity

JUDGES = True  # it decides itself which trials go on
_GONE = frozenset({TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED})


def build(
    rules: Rules,
    seed: int,
    *,
    interval: Annotated[int, Field(ge=1)] | None = None,
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.25,
    spread: Annotated[float, Field(gt=0, le=1)] = 0.1,
) -> BaseSampler:
    """Give the sampler of the first population: random draws.

    `interval` None: a tenth of the epochs. `share` of the trials at an epoch are the worst, as
    many the best; `spread` is how far a value moves, as a share of its range.
    """
    return PopulationSampler(Population(interval=interval, share=share, spread=spread), seed)


class PopulationSampler(RandomSampler):
    """Draws the first trials at random; its pruner does all else."""

    def __init__(self, pruner: "Population", seed: int) -> None:
        super().__init__(seed=seed)
        self.pruner = pruner


@dataclass(frozen=True, kw_only=True)
class Population(Replacing):
    """Lets trials take turns, and puts copies of the best in the place of the worst."""

    interval: int | None
    share: float
    spread: float

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """The epochs, past warm-up, at which trials are compared and may take turns."""
        every = self.interval or max(1, round(context.epochs / 10))
        steps = frozenset(range(every, context.epochs, every))
        return steps - frozenset(range(context.warmup + 1))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Go on in place, or pause: for others that are not ahead of it, or to be replaced."""
        step, words = trial.step, f"epoch {trial.step}"
        if not isfinite(trial.values[step]):
            return not_a_number(step, context)
        if not context.closing:
            reason = f"at {words} it waits: the population is not complete"
            return Verdict(action=Action.PAUSE, reason=reason)
        behind = sum(
            peer.state is TrialState.PAUSED and peer.step <= step and peer.number != trial.number
            for peer in peers
        )
        if behind:
            reason = f"at {words} it waits for {quantity(behind, 'trial')} not ahead of it"
            return Verdict(action=Action.PAUSE, reason=reason)
        if weakness := self._weakness(trial, peers, context):
            return Verdict(action=Action.PAUSE, reason=weakness)
        return Verdict()

    def promote(
        self, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, str] | None:
        """The paused trial whose turn it is: the one with the fewest epochs."""
        paused = [curve for curve in trials if curve.state is TrialState.PAUSED]
        if not (paused and context.closing):
            return None
        curve = min(paused, key=lambda curve: (curve.step, curve.number))
        weakness = self._weakness(curve, trials, context)
        turn = f"goes on from epoch {curve.step}: it has the fewest epochs"
        return curve.number, weakness or turn

    def donors(
        self, trial: LearningCurve, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, ...]:
        """The best share of the population, if the trial is among the worst; else none."""
        if not self._weakness(trial, trials, context):
            return ()
        order = _order(trial, trials, context)
        return tuple(curve.number for curve in order[: at_most(self.share, len(order))])

    def perturb(self, space: SearchSpace, params: Params, rng: random.Random) -> Params:
        """Other values, near these, of what may change while a trial trains."""
        paths = frozenset(path for path in params if may_change(path))
        near = Neighbourhood(space, spread=self.spread).near(params, rng, moving=paths)
        return {path: near[path] for path in near if path in paths and near[path] != params[path]}

    def _weakness(
        self, trial: LearningCurve, trials: Sequence[LearningCurve], context: PruningContext
    ) -> str:
        """Why a trial is among the worst at its last step, in words; empty if it is not."""
        order = _order(trial, trials, context)
        worst = at_most(self.share, len(order))
        if worst == 0 or trial.number not in {curve.number for curve in order[-worst:]}:
            return ""
        bar = order[-worst - 1].values[trial.step]
        words = describe(trial, trial.step, context)
        best = f"the best {len(order) - worst} of {quantity(len(order), 'trial')} ({bar:.3f})"
        return f"{words} is {worse_word(context)} {best}"


def _order(
    trial: LearningCurve, trials: Sequence[LearningCurve], context: PruningContext
) -> list[LearningCurve]:
    """The population at the trial's last step, the best first; of equal ones the older."""
    step, key = trial.step, context.objective.key
    there = [
        curve
        for curve in trials
        if curve.number != trial.number
        and curve.state not in _GONE
        and isfinite(curve.values.get(step, float("nan")))
    ]
    alive = [trial, *there] if step else []
    return sorted(alive, key=lambda curve: (key(curve.values[step]), curve.number))
