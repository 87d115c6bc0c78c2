"""`Observation`: one trial as the search sees it, and the same trial as Optuna sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.optuna_encoding import distributions, encode
from tuner.search.in_memory_storage import InMemoryStorage, frozen
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

_WORST_VIOLATION = 1e12  # in place of a constraint whose metric is missing or not a number
TRAINABLE = "trainable"  # the constraint that every study has: a trial can be trained


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as the search sees it.

    `values` are the objectives' values, final or so far; `steps` the first objective by step, or
    that of the best up to it where a trial's best epoch counts, `others` the further ones; `pace`
    seconds per step, 0 while unknown; `attrs` what the sampler left with the trial; `constraints`
    violations, > 0 infeasible; `trainable` is false where the params themselves made the trial
    fail: no device could hold it, or its loss was not a number.
    """

    number: int
    state: TrialState
    params: Params
    values: tuple[float, ...] | None = None
    steps: Mapping[int, float] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[float, ...] = ()
    trainable: bool = True
    others: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    pace: float = 0.0

    @property
    def breaks_bound(self) -> bool:
        """Whether it ended because its network costs too much, whatever it would have learnt."""
        return self.state is TrialState.PRUNED and any(v > 0 for v in self.constraints)


def open_study(spec: StudySpec) -> tuple[Study, InMemoryStorage]:
    """An empty Optuna study of the spec's objectives, and the storage that feeds it."""
    storage = InMemoryStorage()
    directions = [
        StudyDirection.MAXIMIZE if objective.direction == "maximize" else StudyDirection.MINIMIZE
        for objective in spec.objectives
    ]
    storage.create_new_study(directions, spec.name)
    return Study(spec.name, storage), storage


class Translator:
    """Turns observations of one study into Optuna trials; keeps the space's distributions."""

    def __init__(self, spec: StudySpec) -> None:
        self._space = spec.space
        self._known = distributions(spec.space)
        self._has_one_objective = len(spec.objectives) == 1

    def trial(self, seen: Observation) -> FrozenTrial:
        """The trial as a sampler may read it.

        Waiting and paused trials count as running: their params are taken, their worth is open.
        What ended without finite values counts as failed, which samplers pass over. What could not
        be trained, or broke a bound before it was, counts as pruned and infeasible, from which they
        learn to keep away.
        """
        values, found = encode(self._space, seen.params, known=self._known)
        steps = {step: value for step, value in seen.steps.items() if isfinite(value)}
        state, final = self._state(seen, steps)
        trial = frozen(
            seen.number,
            state,
            params=values,
            distributions=found,
            values=final,
            steps=steps,
            attrs=dict(seen.attrs),
        )
        trial.is_paused = seen.state is TrialState.PAUSED
        for index, violation in enumerate(seen.constraints):
            finite = violation if isfinite(violation) else _WORST_VIOLATION
            trial.set_constraint(str(index), finite)
        if not seen.trainable:
            trial.set_constraint(TRAINABLE, 1.0)
        return trial

    def _state(
        self, seen: Observation, steps: Mapping[int, float]
    ) -> tuple[OptunaState, tuple[float, ...] | None]:
        if not seen.state.has_ended:
            return OptunaState.RUNNING, None
        if not seen.trainable or seen.breaks_bound:
            return OptunaState.PRUNED, None
        finite = seen.values is not None and all(isfinite(value) for value in seen.values)
        if seen.state is TrialState.COMPLETED and finite:
            return OptunaState.COMPLETE, seen.values
        if seen.state is TrialState.PRUNED and steps and self._has_one_objective:
            return OptunaState.PRUNED, seen.values if finite else None
        return OptunaState.FAIL, None


def by_number(observations: Iterable[Observation]) -> list[Observation]:
    """The observations in order of their trial's number, the last of each number."""
    return [seen for _, seen in sorted({seen.number: seen for seen in observations}.items())]
