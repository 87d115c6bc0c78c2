"""Which of a trial's epochs counts: the one that its value, its metrics and its model are of."""

from dataclasses import dataclass

from tuner.spec.study import Objective


@dataclass(frozen=True, slots=True)
class Counting:
    """The rule of one study for one training of a trial.

    Steps up to `began` are of earlier trainings, which were on less: their models are gone, so
    that none of them is the best. Where the last epoch counts, they are replaced anyway.
    """

    objective: Objective
    began: int = 0

    def replaces(self, value: float | None, known: float | None, step: int) -> bool:
        """Whether the next step counts from now on, in place of `step` with the value `known`.

        A step without a value is replaced by any, and of equal values the earlier counts.
        """
        if not self.objective.counts_best or known is None or step <= self.began:
            return True
        return value is not None and self.objective.is_better(value, known)
