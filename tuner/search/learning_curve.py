"""What a pruner sees: learning curves, and the context in which they are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from tuner.spec import shares
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec

RANK = Objective(metric="rank", direction="minimize")


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """One trial's intermediate values of the first objective, by step.

    Where a trial's best epoch counts, they are those of its best epoch up to the step.
    `others` holds those of further objectives; `pace` is its seconds per step, 0 while unknown.
    """

    number: int
    state: TrialState
    values: Mapping[int, float]
    others: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    pace: float = 0.0

    def until(self, step: int) -> "LearningCurve":
        """The curve up to and including that step."""
        return replace(
            self,
            values={at: value for at, value in self.values.items() if at <= step},
            others={at: rest for at, rest in self.others.items() if at <= step},
        )

    @property
    def step(self) -> int:
        """The last step with a value; 0 before the first."""
        return max(self.values, default=0)

    def vector(self, step: int) -> tuple[float, ...]:
        """All objectives at a step that the curve has."""
        return (self.values[step], *self.others.get(step, ()))


@dataclass(frozen=True, slots=True)
class PruningContext:
    """The objective, the full budget in epochs, and how many of them warm up.

    `skipped` are rungs found not to predict the next one; `closing` says that no new trial will
    be drawn, so that those at hand are all that there is to choose from.
    """

    objective: Objective
    epochs: int
    warmup: int = 0
    skipped: frozenset[int] = frozenset()
    closing: bool = False


def context_of(spec: StudySpec) -> PruningContext:
    """The context of a study; searched epochs and a searched warm-up count with their longest.

    Several objectives become one: the rank that `ranked` gives.
    """
    epochs, warmup = spec.most_epochs, spec.base.schedule.warmup
    searched = spec.space.root.get("schedule.warmup", ())
    corners = [corner for dimension in searched for corner in dimension.corners()]
    longest = max((c for c in corners if isinstance(c, int | float)), default=warmup)
    objective = spec.objective if len(spec.objectives) == 1 else RANK
    return PruningContext(objective, epochs, shares.at_least(longest, epochs))


def peer_values(trial: LearningCurve, peers: Sequence[LearningCurve], step: int) -> list[float]:
    """Values that the other trials had at exactly this step; what is not a number is left out."""
    return [
        peer.values[step]
        for peer in peers
        if peer.number != trial.number and step in peer.values and isfinite(peer.values[step])
    ]
