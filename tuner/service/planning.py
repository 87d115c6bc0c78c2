"""What a study would do and cost, before it is submitted."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.configs.seeds import trial_config
from tuner.search import plan as search
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.config import TrialConfig
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import Cost, Plan, Stage
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study

EXAMPLES = 3


class Pace(NamedTuple):
    """Seconds of one epoch, and where they are known from."""

    seconds: float
    source: str


def plan(
    db: Database,
    spec: StudySpec,
    *,
    epoch_seconds: float | None = None,
    workers: int | None = None,
) -> Plan:
    """What a checked study would do; nothing is stored.

    Args:
        epoch_seconds: of one epoch; as in the latest study of the same data set when None.
        workers: that train at the same time; the study's `parallel` when None.
    """
    rules = Rules(spec)
    outline = search.plan(rules)
    if epoch_seconds is not None:
        pace: Pace | None = Pace(epoch_seconds, "as given")
    else:
        with db.reading() as session:
            pace = _pace(session, spec)
    return Plan(
        spec=spec,
        sampler=outline.sampler,
        pruner=outline.pruner,
        trials=outline.trials,
        epochs=outline.epochs,
        rungs=outline.rungs,
        stages=tuple(Stage(epoch=step, trials=n) for step, n in sorted(outline.stages.items())),
        expected_epochs=outline.expected_epochs,
        worst_case_epochs=outline.worst_epochs,
        confirm_epochs=outline.confirm_epochs,
        cost=None if pace is None else _cost(spec, outline, pace, workers or spec.search.parallel),
        examples=_examples(rules),
    )


def _pace(session: Session, spec: StudySpec) -> Pace | None:
    """Mean time of an epoch in the latest study of the same data set that timed any."""
    dataset = spec.dump()["dataset"]
    found = studies.list_in(session, tuple(StudyState))
    alike = [row for row in found if _trained_on(row, dataset)]
    if not alike:
        return None
    return Pace(alike[-1].seconds / alike[-1].epochs, f"as in study '{alike[-1].name}'")


def _trained_on(row: Study, dataset: Mapping[str, Any]) -> bool:
    """Whether a study timed epochs of that data set; a damaged document did not."""
    document: object = row.spec
    if not isinstance(document, dict) or row.seconds <= 0 or row.epochs <= 0:
        return False
    return document.get("dataset") == dataset


def _cost(spec: StudySpec, outline: search.Outline, pace: Pace, workers: int) -> Cost:
    limit, seconds = spec.search.max_hours, pace.seconds
    worst = search.device_hours(outline.worst_epochs, seconds, limit)
    expected = (
        None
        if outline.expected_epochs is None
        else search.device_hours(outline.expected_epochs, seconds, limit)
    )
    return Cost(
        epoch_seconds=seconds,
        source=pace.source,
        workers=workers,
        device_hours=expected,
        worst_device_hours=worst,
        wall_hours=None
        if expected is None
        else search.wall_hours(spec, expected, seconds, workers),
        worst_wall_hours=search.wall_hours(spec, worst, seconds, workers),
    )


def _examples(rules: Rules) -> tuple[TrialConfig, ...]:
    """Configs of the first trials, as they would be drawn while none has reported."""
    spec, suggester = rules.spec, Suggester(rules)
    examples, seen = list[TrialConfig](), list[Observation]()
    for number in range(min(EXAMPLES, spec.search.trials)):
        draw = suggester.draw(seen, number)
        if draw.duplicate_of is not None:
            break
        examples.append(trial_config(spec, draw.params, number))
        seen = [Observation(number=number, state=TrialState.RUNNING, params=draw.params)]
    return tuple(examples)
