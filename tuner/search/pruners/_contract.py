"""What a pruner is: a frozen object whose fields are its options, given by `build` of its file.

A pruner sees learning curves and decides; it holds no state, so that any server process decides
the same. What it can do beyond judging it says by what it derives from: `Pausing`, `Replacing`.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.spec.messages import Action, Verdict
from tuner.spec.space import Params, SearchSpace


class Pruner(ABC):
    """Judges a trial by its own values and those of its peers."""

    @abstractmethod
    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """Steps at which trials are judged, all of them before the last; None means every step."""

    @abstractmethod
    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Whether the trial goes on after its last step, and if not, why.

        It is asked at judged steps only. Peers count with their value at that very step.
        """

    def survivors(self, trials: int, steps: Sequence[int]) -> Mapping[int, float]:
        """How many of so many trials are expected to be trained up to each step.

        `steps` are the judged ones, rising, and the full budget. Empty where the rule does not
        say, as it does not where everything depends on the values.
        """
        return {}


def not_a_number(step: int, context: PruningContext) -> Verdict:
    """The verdict on a trial whose metric cannot be compared at this step."""
    reason = f"{context.objective.metric} at epoch {step} is not a number"
    return Verdict(action=Action.PRUNE, reason=reason)


class Pausing(Pruner):
    """Pauses trials with their checkpoints, and says which of them goes on next."""

    @abstractmethod
    def promote(
        self, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, str] | None:
        """Number of the paused trial to go on first, and why; None while there is none."""


class Replacing(Pausing):
    """Lets a changed copy of a better trial take a paused one's place."""

    @abstractmethod
    def donors(
        self, trial: LearningCurve, trials: Sequence[LearningCurve], context: PruningContext
    ) -> tuple[int, ...]:
        """Numbers of the trials that may be copied in the trial's place, the best first."""

    @abstractmethod
    def perturb(self, space: SearchSpace, params: Params, rng: random.Random) -> Params:
        """What a copy of a trial with these params changes, by path."""
