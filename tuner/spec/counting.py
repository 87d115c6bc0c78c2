"""Which of a trial's epochs counts: the one that its value, its metrics and its model are of."""

from dataclasses import dataclass

from tuner.spec.config import DirectedMetric
from tuner.spec.study import Objective


def replaces(by: DirectedMetric | None, value: float | None, known: float | None) -> bool:
    """Whether a later epoch counts from now on, in place of one with the value `known`.

    With `by` None, every later one does. An epoch without a value is replaced by any, and of equal
    values the earlier counts.
    """
    if by is None or known is None:
        return True
    return value is not None and by.is_better(value, known)


@dataclass(frozen=True, slots=True)
class Counting:
    """The rule of one study for one training of a trial.

    Steps up to `began` are of earlier trainings, which were on less: their models are gone, so
    that none of them is the best.
    """

    objective: Objective
    began: int = 0

    def replaces(self, value: float | None, known: float | None, step: int) -> bool:
        """Whether the next step counts from now on, in place of `step` with the value `known`."""
        by = self.objective if self.objective.counts_best and step > self.began else None
        return replaces(by, value, known)
