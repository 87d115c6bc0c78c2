"""Trials that were trained elsewhere, as a study of ours can keep them."""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.configs.paths import searchable
from tuner.errors import InvalidSpec, Problem
from tuner.spec.hints import nearest
from tuner.spec.space import Choice, Params
from tuner.spec.states import TrialState
from tuner.spec.study import EPOCHS, StudySpec

_ENDED = {OptunaState.COMPLETE: TrialState.COMPLETED, OptunaState.PRUNED: TrialState.PRUNED}


@dataclass(frozen=True, slots=True)
class ImportedTrial:
    """One trial: `values` of the objectives in the end, `steps` the first one by step from 1."""

    params: Params
    state: TrialState
    values: tuple[float, ...] = ()
    steps: Mapping[int, float] = field(default_factory=dict)
    seconds: float = 0.0


def imported_trials(
    study: Study,
    spec: StudySpec,
    *,
    paths: Mapping[str, str] | None = None,
    ignored: Container[str] = (),
) -> list[ImportedTrial]:
    """Completed and pruned trials of an Optuna study, in the words of ours, by number.

    A param keeps its name if that is a config path, or gets the one that `paths` gives it; system
    attributes, which may hold pickles, are not read. Raises InvalidSpec where directions differ or
    a param has no path.
    """
    ended = study.get_trials(deepcopy=False, states=tuple(_ENDED))
    trials = [trial for trial in ended if _is_usable(trial)]
    names = {name for trial in trials for name in trial.params if name not in ignored}
    known = {name: (paths or {}).get(name, name.partition("#")[0]) for name in sorted(names)}
    if found := [*_direction_problems(study, spec), *_path_problems(known, spec)]:
        raise InvalidSpec(found)
    shift = 1 if any(0 in trial.intermediate_values for trial in trials) else 0
    return [_imported(trial, spec, known, shift) for trial in trials]


def _is_usable(trial: FrozenTrial) -> bool:
    """Whether a completed trial ended with numbers."""
    return trial.state is not OptunaState.COMPLETE or all(map(isfinite, trial.values))


def _direction_problems(study: Study, spec: StudySpec) -> Iterator[Problem]:
    theirs = ["maximize" if d is StudyDirection.MAXIMIZE else "minimize" for d in study.directions]
    ours = [objective.direction for objective in spec.objectives]
    if theirs != ours:
        message = (
            f"the Optuna study has {' and '.join(theirs)}, this one {' and '.join(ours)}; name "
            "objectives with the same directions in the same order"
        )
        yield Problem(("objectives",), message)
    if spec.constraints:
        message = "an Optuna study does not say the metrics that constraints need; remove them"
        yield Problem(("constraints",), message)


def _path_problems(known: Mapping[str, str], spec: StudySpec) -> Iterator[Problem]:
    valid = tuple(sorted({*searchable(), *spec.space.root}))
    for name, path in known.items():
        if path not in valid:
            hint = nearest(path, valid) if "." in path else "use --map or --ignore"
            yield Problem(("map", name), f"param '{name}' is not a config path: '{path}'; {hint}")


def _imported(
    trial: FrozenTrial, spec: StudySpec, known: Mapping[str, str], shift: int
) -> ImportedTrial:
    params = {
        known[name]: _value(spec, known[name], value)
        for name, value in trial.params.items()
        if name in known
    }
    epochs = params.get(EPOCHS, spec.base.training.epochs)
    steps = {
        step + shift: value
        for step, value in trial.intermediate_values.items()
        if 1 <= step + shift <= epochs and isfinite(value)
    }
    duration = trial.duration
    return ImportedTrial(
        params,
        _ENDED[trial.state],
        tuple(trial.values) if trial.state is OptunaState.COMPLETE else (),
        steps if len(spec.objectives) == 1 else {},
        0.0 if duration is None else max(0.0, duration.total_seconds()),
    )


def _value(spec: StudySpec, path: str, value: Any) -> Any:
    """The value; what Optuna could only keep as its JSON text is read again."""
    for dimension in spec.space.root.get(path, ()):
        if isinstance(dimension, Choice) and isinstance(value, str):
            if dimension.contains(value):
                return value
            try:
                read = json.loads(value)
            except ValueError:
                continue
            if dimension.contains(read):
                return read
    return value
