"""What a study may cost, before anything is trained."""

from dataclasses import dataclass

from tuner.search.judge import choose_pruner, judged_steps
from tuner.search.suggest import choose_sampler, trial_limit
from tuner.spec.study import StudySpec


@dataclass(frozen=True, slots=True)
class Plan:
    """The search in numbers: steps in epochs, `worst_epochs` if nothing is pruned."""

    sampler: str
    pruner: str
    trials: int
    epochs: int
    rungs: tuple[int, ...]
    worst_epochs: int


def rungs(spec: StudySpec) -> tuple[int, ...]:
    """Epochs at which trials are compared, rising; empty if nothing is pruned."""
    steps = judged_steps(spec)
    return tuple(range(1, spec.base.training.epochs)) if steps is None else tuple(sorted(steps))


def plan(spec: StudySpec) -> Plan:
    """The plan of a study."""
    trials, epochs = trial_limit(spec), spec.base.training.epochs
    return Plan(
        sampler=choose_sampler(spec),
        pruner=choose_pruner(spec),
        trials=trials,
        epochs=epochs,
        rungs=rungs(spec),
        worst_epochs=trials * epochs,
    )
