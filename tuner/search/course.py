"""What a pruner sees: the course of a trial, and the setting in which trials are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec


@dataclass(frozen=True, slots=True)
class Course:
    """One trial's values of the first objective, by step."""

    number: int
    state: TrialState
    values: Mapping[int, float]

    def until(self, step: int) -> "Course":
        """The course as it stood after that step."""
        values = {at: value for at, value in self.values.items() if at <= step}
        return Course(self.number, self.state, values)


@dataclass(frozen=True, slots=True)
class Setting:
    """The first objective, the full budget in epochs, and how many of them warm up."""

    objective: Objective
    epochs: int
    warmup: int = 0


def setting_of(spec: StudySpec) -> Setting:
    """The setting of a study; a searched warm-up counts with its longest."""
    epochs, warmup = spec.base.training.epochs, spec.base.schedule.warmup
    searched = spec.space.root.get("schedule.warmup", ())
    corners = [corner for dimension in searched for corner in dimension.corners()]
    shares = [share for share in corners if isinstance(share, int | float)]
    return Setting(spec.objective, epochs, ceil(max(shares, default=warmup) * epochs))


def rivals(trial: Course, peers: Sequence[Course], step: int) -> list[float]:
    """Values that the other trials had at exactly this step; what is not a number is left out."""
    return [
        peer.values[step]
        for peer in peers
        if peer.number != trial.number and step in peer.values and isfinite(peer.values[step])
    ]
