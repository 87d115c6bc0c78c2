"""A report is carried to its trial and its study in the same way, however it comes."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.store.samples import NOW, spec
from tuner.configs.seeds import trial_config
from tuner.service import overview
from tuner.spec.counting import Counting
from tuner.spec.events import EventKind
from tuner.spec.messages import Report
from tuner.spec.states import TrialSource
from tuner.spec.stored import dump_config
from tuner.spec.study import StudySpec
from tuner.store import hot, reports, studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

CURVES: list[list[float | None]] = [[0.3, 0.5, 0.4], [None, 0.2, None], [0.4, 0.4], [None]]


def _study(session: Session, document: StudySpec) -> Study:
    return studies.add(session, document.dump(), now=NOW)


def _trial(session: Session, study: Study, document: StudySpec, **origin: Any) -> Trial:
    config = dump_config(trial_config(document, {}, study.trial_count))
    new = trials.NewTrial({}, config, **{"source": TrialSource.USER, **origin})
    trial = trials.add(session, study, new, now=NOW)
    hot.write(session)
    return trial


def _messages(metric: str, values: Sequence[float | None]) -> list[Report]:
    return [
        Report(step=step, metrics={} if value is None else {metric: value}, seconds=2.0)
        for step, value in enumerate(values, start=1)
    ]


def _carried(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.step,
        trial.value,
        trial.value_step,
        trial.best_value,
        trial.metrics,
        trial.seconds,
    )


@pytest.mark.parametrize("at", ["last", "best"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("values", CURVES, ids=str)
def test_reports_become_the_same_row_however_they_come(
    database: Database, values: Sequence[float | None], direction: str, at: str
) -> None:
    """Sent by a worker, brought from elsewhere, or copied from another trial."""
    document = spec(objectives=[{"metric": "miou", "direction": direction, "at": at}])
    counting = Counting(document.objective)
    known = [value for value in values if value is not None]
    best = (max if direction == "maximize" else min)(known, default=None)
    with database.transaction() as session:
        study = _study(session, document)
        sent, brought, copied = (_trial(session, study, document) for _ in range(3))
        for message in _messages("miou", values):
            for write, trial in ((reports.record, sent), (reports.store, brought)):
                write(session, study, trial, message, counting=counting, now=NOW)
        hot.write(session)
        reports.copy(session, sent, copied, until=len(values), objective=document.objective)

        assert best == sent.best_value
        assert sent.value == (best if at == "best" else values[-1] if values else None)
        assert _carried(sent) == _carried(brought) == _carried(copied)
        assert (2 * len(values), 4.0 * len(values)) == (study.epochs, study.seconds)


def test_what_is_no_news_has_no_event(database: Database) -> None:
    """Neither what was trained elsewhere nor what was copied is streamed as a report."""
    document = spec()
    counting = Counting(document.objective)
    metric = document.objective.metric
    with database.transaction() as session:
        study = _study(session, document)
        sent, brought, copied = (_trial(session, study, document) for _ in range(3))
        (message,) = _messages(metric, [0.5])
        seq = reports.record(session, study, sent, message, counting=counting, now=NOW)
        reports.store(session, study, brought, message, counting=counting, now=NOW)
        hot.write(session)
        reports.copy(session, sent, copied, until=1, objective=document.objective)

    found = overview.events(database, "streets")
    news = [(one.seq, one.trial) for one in found if one.kind == EventKind.TRIAL_REPORTED]
    assert [(seq, 0)] == news


def test_a_study_counts_its_trials_by_where_they_come_from(database: Database) -> None:
    """Neither confirmations nor copies are drawn: they leave the budget of the search alone."""
    document = spec()
    with database.transaction() as session:
        study = _study(session, document)
        for source, parent in (("base", None), ("confirm", 0), ("copy", 0), ("confirm", 0)):
            _trial(session, study, document, source=TrialSource(source), parent=parent)

        assert (4, 2, 1) == (study.trial_count, study.confirmations, study.copies)
