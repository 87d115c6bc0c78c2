"""What a study has taught, as numbers that its owner can put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tuner.search import contrasts
from tuner.search.importance import importance, intervals
from tuner.search.interactions import interactions
from tuner.search.observation import Observation
from tuner.service.comparisons import comparison
from tuner.spec.explanation import (
    BestTenth,
    ExplanationView,
    FailureGroup,
    ParamImportance,
)
from tuner.spec.failures import essence, gist
from tuner.spec.space import Params, same
from tuner.spec.states import TrialState
from tuner.spec.study import Constraint, StudySpec
from tuner.store import studies, trial_pages
from tuner.store.engine import Database
from tuner.store.tables import Trial

_MOST = 300  # trials to compare, evenly spread over the study
_MOST_ENDED = 2000  # trials to look for failures in, the newest
_RESAMPLES = 50
_LEAST_BEST = 3
_GROUPS = 8  # kinds of failure that are told, the most frequent


def explanation(
    db: Database, study: int | str, *, objective: str | None = None, direction: str | None = None
) -> ExplanationView:
    """Importance with its uncertainty, interactions, the best tenth and failures: some seconds.

    Trials are compared as for their importance.

    Raises:
        NotFound: no such study.
        InvalidInput: no metric is called so.
    """
    compared = comparison(db, study, objective, direction, most=_MOST)
    with db.reading() as session:
        row = studies.find(session, study)
        name = row.name
        newest = trial_pages.Order("number", descending=True)
        listed = trial_pages.page(
            session, row.id, newest, state=None, after=None, limit=_MOST_ENDED
        )
        ended = [_ended(trial) for trial, _ in listed if TrialState.known(trial.state).has_ended]
    spec, trials = compared.spec, compared.trials
    first = [(one.values or (0.0,))[0] for one in trials]
    pairs, strongest = interactions(spec.space, [one.params for one in trials], first)
    shares = _importance(spec, trials)
    return ExplanationView(
        study=name,
        objectives=spec.objectives,
        epoch=compared.step,
        trials=len(trials),
        ended=len(ended),
        resamples=_RESAMPLES if shares else 0,
        importance=shares,
        pairs=pairs,
        interactions=strongest,
        best=_best(spec, trials),
        failures=failures(spec, ended),
    )


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """What is known of a trial that has ended."""

    number: int
    state: TrialState
    params: Params
    metrics: Mapping[str, float]
    feasible: bool | None = None
    error: str = ""
    error_kind: str = ""


def failures(spec: StudySpec, ended: Sequence[TrialEnd]) -> tuple[FailureGroup, ...]:
    """Trials that failed, by kind and text, and those that broke a constraint, by constraint.

    Texts that differ in numbers, paths or addresses alone are one.
    """
    groups: dict[tuple[str, str], list[TrialEnd]] = {}
    texts: dict[tuple[str, str], str] = {}
    for trial in sorted(ended, key=lambda each: each.number):
        for kind, text in _reasons(spec, trial):
            key = (kind, essence(text))
            groups.setdefault(key, []).append(trial)
            texts.setdefault(key, text)
    largest = sorted(groups, key=lambda key: (-len(groups[key]), groups[key][0].number))
    found = []
    for key in largest[:_GROUPS]:
        inside = {trial.number for trial in groups[key]}
        rest = [trial.params for trial in ended if trial.number not in inside]
        traits = contrasts.traits(spec.space, [each.params for each in groups[key]], rest)
        found.append(
            FailureGroup(
                kind=key[0],
                text=texts[key],
                trials=tuple(sorted(inside)),
                shared=_shared([each.params for each in groups[key]]),
                traits=traits,
            )
        )
    return tuple(found)


def _shared(params: Sequence[Params]) -> Params:
    """What all of them have alike."""
    first, *others = params
    return {
        path: value
        for path, value in first.items()
        if all(path in each and same(each[path], value) for each in others)
    }


def _reasons(spec: StudySpec, trial: TrialEnd) -> list[tuple[str, str]]:
    if trial.state is TrialState.FAILED:
        return [(trial.error_kind or "unknown", gist(trial.error, 200) or "no text was kept")]
    if trial.feasible is not False:
        return []
    return [("constraint", _bounds(each)) for each in spec.constraints if _breaks(each, trial)]


def _breaks(constraint: Constraint, trial: TrialEnd) -> bool:
    value = trial.metrics.get(constraint.metric)
    return value is None or not isfinite(value) or constraint.violation(value) > 0


def _bounds(constraint: Constraint) -> str:
    bounds = [("at least", constraint.min), ("at most", constraint.max)]
    said = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
    return f"{constraint.metric} is to be {' and '.join(said)}"


def _ended(trial: Trial) -> TrialEnd:
    return TrialEnd(
        trial.number,
        TrialState.known(trial.state),
        _mapping(trial.params),
        {k: v for k, v in _mapping(trial.metrics).items() if isinstance(v, int | float)},
        trial.feasible,
        trial.error or "",
        trial.error_kind or "",
    )


def _mapping(stored: Any) -> dict[str, Any]:
    """What a column holds, if it is as it should be."""
    return dict(stored) if isinstance(stored, Mapping) else {}


def _importance(spec: StudySpec, trials: Sequence[Observation]) -> tuple[ParamImportance, ...]:
    shares = importance(spec, trials)
    if not shares:
        return ()
    sure = intervals(spec, trials, resamples=_RESAMPLES)
    return tuple(
        ParamImportance(
            path=path,
            share=share,
            low=sure[path].low,
            high=sure[path].high,
            leading=sure[path].leading,
        )
        for path, share in shares.items()
        if path in sure
    )


def _best(spec: StudySpec, trials: Sequence[Observation]) -> BestTenth | None:
    """The best tenth against the rest; None where the rest is not larger."""
    count = max(_LEAST_BEST, round(len(trials) / 10))
    if len(trials) < 2 * count + 1:
        return None
    values = [one.values or () for one in trials]
    chosen = contrasts.leaders(values, spec.objectives, count)
    if not chosen:
        return None
    rest = [one.params for at, one in enumerate(trials) if at not in set(chosen)]
    worst = [
        max((values[at][index] for at in chosen), key=objective.key)
        for index, objective in enumerate(spec.objectives)
    ]
    return BestTenth(
        trials=tuple(trials[at].number for at in chosen),
        worst=tuple(worst),
        others=len(rest),
        traits=contrasts.traits(spec.space, [trials[at].params for at in chosen], rest),
    )
