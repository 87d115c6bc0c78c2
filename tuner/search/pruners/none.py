"""Every trial is trained to its full budget."""

from collections.abc import Sequence

from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.spec.messages import Verdict

PEERS = False


def judged_steps(context: PruningContext) -> frozenset[int] | None:
    """No step is judged."""
    return frozenset()


def should_prune(
    trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
) -> Verdict:
    """Continue."""
    return Verdict()
