"""What pruners share that hold a trial's best value so far against its peers at the same epoch."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext, peer_values
from tuner.search.pruners._contract import Pruner
from tuner.spec.messages import Action, Verdict


@dataclass(frozen=True, kw_only=True)
class PeerPruner(Pruner):
    """Judges every `interval`-th epoch after the warm-up, once `startup` peers have been there."""

    startup: int
    warmup: int
    interval: int

    @abstractmethod
    def bar(self, values: Sequence[float]) -> tuple[float, str]:
        """The value that a trial must not be worse than, and what it is, in words.

        `values` are the peers' at this epoch, the best first.
        """

    def judged_steps(self, context: PruningContext) -> frozenset[int] | None:
        """Every `interval`-th epoch after the warm-up; None: every epoch."""
        first = max(self.warmup, context.warmup) + 1
        if first == 1 and self.interval == 1:
            return None
        return frozenset(range(first, context.epochs, self.interval))

    def should_prune(
        self, trial: LearningCurve, peers: Sequence[LearningCurve], context: PruningContext
    ) -> Verdict:
        """Judge by the peers' values at this step; with fewer than `startup` of them, continue."""
        objective, step = context.objective, trial.step
        others = sorted(peer_values(trial, peers, step), key=objective.key)
        if len(others) < self.startup:
            return Verdict()
        so_far = [value for value in trial.values.values() if isfinite(value)]
        if not so_far:
            reason = f"{objective.metric} was never a number up to epoch {step}"
            return Verdict(action=Action.PRUNE, reason=reason)
        best = min(so_far, key=objective.key)
        bar, words = self.bar(others)
        if not objective.is_better(bar, best):
            return Verdict()
        reason = (
            f"best {objective.metric} {best:.3f} up to epoch {step} is "
            f"{rungs.worse_word(context)} {words} ({bar:.3f})"
        )
        return Verdict(action=Action.PRUNE, reason=reason)
