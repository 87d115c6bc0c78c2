"""Every trial is trained to its full budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pruner
from tuner.spec.messages import Verdict

PEERS = False


def build() -> Pruner:
    """Give the pruner that prunes nothing."""
    return NoPruner()


@dataclass(frozen=True)
class NoPruner(Pruner):
    """Judges nothing."""

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """No step."""
        return frozenset()

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Continue."""
        return Verdict()

    def survivors(self, trials: int, steps: Sequence[int]) -> Mapping[int, float]:
        """All, to the end."""
        return {steps[-1]: float(trials)}
