"""Which trials a filter lets through, on both databases, and in which order lists show them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.store.samples import NOW, spec, study_row, trial_row
from tuner.errors import InvalidInput
from tuner.service import filters, overview, rankings
from tuner.spec.metrics import derive
from tuner.spec.study import StudySpec
from tuner.store.engine import Database
from tuner.store.reports import pack
from tuner.store.tables import Attempt, Report, Study, Trial, Worker

CLASSES = ("road", "car")
DOCUMENT = spec(
    space={
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.lr": {"float": [1e-4, 1e-1], "log": True},
        "training.ema": {"choice": [None, 0.9]},
        "augment.rotate": {"int": [0, 30]},
    }
)
# Trials 0 to 5; number 4 was asked for by hand with one param only, number 5 has not begun.
TRIALS: list[dict[str, Any]] = [
    {"state": "completed", "metrics": {"miou": 0.7, "lr": 1e-5}, "reason": "the base"},
    {"state": "pruned", "metrics": {"miou": 0.5}, "verdict": {"reason": "too far BEHIND"}},
    {"state": "completed", "metrics": {"miou": 0.65, "iou.car": 0.3}, "feasible": False},
    {"state": "failed", "metrics": {"miou": 0.1}, "error": "loss is nan", "error_kind": "diverged"},
    {"state": "running", "metrics": {"miou": 0.6}, "source": "user"},
    {"state": "waiting"},
]
PARAMS: list[dict[str, Any]] = [
    {"optimizer.name": "sgd", "optimizer.lr": 0.01, "training.ema": None, "augment.rotate": 0},
    {"optimizer.name": "sgd", "optimizer.lr": 0.05, "training.ema": 0.9, "augment.rotate": 10},
    {"optimizer.name": "adamw", "optimizer.lr": 0.001, "training.ema": None, "augment.rotate": 2},
    {"optimizer.name": "adamw", "optimizer.lr": 0.002, "training.ema": None, "augment.rotate": 20},
    {"optimizer.lr": 0.03},
    {"optimizer.name": "sgd", "optimizer.lr": 0.02, "training.ema": None, "augment.rotate": 5},
]
MATRICES = {0: ((90, 0), (4, 6)), 1: ((80, 10), (1, 9)), 2: ((60, 30), (5, 5))}


@pytest.fixture
def filled(database: Database) -> Database:
    """A study of six trials that differ in everything."""
    with database.transaction() as session:
        study = study_row(DOCUMENT, trial_count=len(TRIALS))
        session.add(study)
        session.add(Worker(name="gpu-a", capabilities={}, first_seen_at=NOW, last_seen_at=NOW))
        session.add(Worker(name="gpu-b", capabilities={}, first_seen_at=NOW, last_seen_at=NOW))
        session.flush()
        for number, (columns, params) in enumerate(zip(TRIALS, PARAMS, strict=True)):
            _add(session, study, number, columns, params)
    return database


def _add(
    session: Any, study: Study, number: int, columns: dict[str, Any], params: dict[str, Any]
) -> None:
    begun = columns["state"] != "waiting"
    trial = trial_row(
        study,
        number,
        params=params,
        created_at=NOW + timedelta(hours=number),
        step=3 if begun else 0,
        attempts=int(begun),
        value=columns.get("metrics", {}).get("miou"),
        seconds=10.0 * number,
        **columns,
    )
    session.add(trial)
    session.flush()
    if number in MATRICES:
        matrix = pack(MATRICES[number])
        session.add(
            Report(
                trial_id=trial.id,
                step=3,
                study_id=study.id,
                attempt=1,
                metrics={},
                confusion=matrix,
                seconds=1.0,
                created_at=NOW,
            )
        )
    if begun:
        session.add(
            Attempt(
                id=f"a{number}",
                trial_id=trial.id,
                number=1,
                worker_id=1 + number % 2,
                token_hash="",
                expires_at=NOW,
                started_at=NOW,
            )
        )


def matching(db: Database, text: str) -> list[int] | None:
    """Numbers that a filter lets through, sorted."""
    with db.snapshot() as session:
        study = session.query(Study).one()
        found = filters.matching(session, study, DOCUMENT, text)
        return None if found is None else sorted(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("miou > .6 and optimizer.name = sgd or not state = failed", [0, 1, 2, 4, 5]),
        ("miou > .6 and optimizer.name = sgd", [0]),
        ("miou >= .6", [0, 2, 4]),
        ("miou != .7", [1, 2, 3, 4, 5]),
        ("miou = none", [5]),
        ("not miou < .5", [0, 1, 2, 4, 5]),
        ("state in [completed, running]", [0, 2, 4]),
        ("state not in [completed, running]", [1, 3, 5]),
        ("lr > .02", [1, 4]),
        ("metrics.lr > 0", [0]),
        ("optimizer.momentum = .9", [0, 1, 4, 5]),
        ("training.ema = none and number < 3", [0, 2]),
        ("ema = .9", [1]),
        ("rotate in [0, 20.0]", [0, 3, 4]),
        ("loss.name = cross_entropy and seconds >= 30", [3, 4, 5]),
        ("worker = gpu-b", [1, 3]),
        ("worker = none", [5]),
        ("worker ~ GPU-A", [0, 2, 4]),
        ("reason ~ behind", [1]),
        ("error ~ nan or error_kind = none and state = waiting", [3, 5]),
        ("source = user", [4]),
        ("feasible = false", [2]),
        ("feasible = none", [0, 1, 3, 4, 5]),
        ("created >= 2026-01-01T15:00", [3, 4, 5]),
        ("created < 2026-01-01T14:00+01:00", [0]),
        ("finished = none", [0, 1, 2, 3, 4, 5]),
        ("epoch = 3 and attempts = 1 and epochs = 3", [0, 1, 2, 3, 4]),
        ("recall.car > .55", [0, 1]),
        ("recall.worst < .7 and iou.[road, car] > .5", [0]),
        ("iou.car > .4", [0, 1]),  # of trial 2 the report says .3, of the others their matrix
        ("data_version = abc or parent > 0", []),
    ],
)
def test_a_filter_lets_through_what_it_says(
    filled: Database, text: str, expected: list[int] | None
) -> None:
    """Columns, params, paths, metrics and what matrices give, compared in every way."""
    assert matching(filled, text) == expected


def test_a_list_is_filtered_sorted_and_paged(filled: Database) -> None:
    """Pages together are the filtered trials in order, and each knows how many there are."""
    shown: list[int] = []
    cursor = None
    while True:
        page = overview.trials(
            filled,
            "streets",
            filter="state != failed",
            sort="miou",
            descending=True,
            limit=2,
            cursor=cursor,
        )
        assert page.total == 5
        shown += [trial.number for trial in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert shown == [0, 2, 4, 1, 5]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("worker", [0, 2, 4, 1, 3, 5]),
        ("source", [0, 1, 2, 3, 5, 4]),
        ("optimizer.name", [2, 3, 0, 1, 4, 5]),
        ("augment.rotate", [0, 4, 2, 5, 1, 3]),
        ("training.ema", [1, 0, 2, 3, 4, 5]),
        ("created", [0, 1, 2, 3, 4, 5]),
        ("feasible", [2, 0, 1, 3, 4, 5]),
        ("recall.car", [2, 0, 1, 3, 4, 5]),
    ],
)
def test_whatever_a_filter_names_sorts(filled: Database, sort: str, order: list[int]) -> None:
    """What has no value comes last, and a cursor goes on after any."""
    first = overview.trials(filled, "streets", sort=sort, limit=3)
    rest = overview.trials(filled, "streets", sort=sort, limit=3, cursor=first.next)
    assert [trial.number for trial in (*first.items, *rest.items)] == order
    turned = overview.trials(filled, "streets", sort=sort, descending=True).items
    lacking = [number for number in order if _lacks(filled, sort, number)]
    assert [trial.number for trial in turned][-len(lacking) or 6 :] == lacking


def _lacks(db: Database, name: str, number: int) -> bool:
    return number in (matching(db, f"{name} = none") or [])


def test_metrics_come_with_each_trial_of_a_list(filled: Database) -> None:
    """What was reported, what the matrix gives, and nothing where there is neither."""
    page = overview.trials(filled, "streets", metrics=["miou", "recall.car", "lr"])
    assert [trial.metrics for trial in page.items] == [
        {"miou": 0.7, "recall.car": 0.6, "lr": 1e-5},
        {"miou": 0.5, "recall.car": 0.9},
        {"miou": 0.65, "recall.car": 0.5},
        {"miou": 0.1},
        {"miou": 0.6},
        {},
    ]


def test_a_metric_that_nobody_knows_is_refused(filled: Database) -> None:
    """With the nearest one."""
    with pytest.raises(InvalidInput, match=r"metrics: no .* is called 'miuo'; did you mean 'miou'"):
        overview.trials(filled, "streets", metrics=["miuo"])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("miou", {0: 0.7, 1: 0.5, 2: 0.65, 3: 0.1, 4: 0.6}),
        ("recall.car", {0: 0.6, 1: 0.9, 2: 0.5}),
        ("lr", {0: 1e-5}),
    ],
)
def test_values_by_any_metric(filled: Database, metric: str, expected: dict[int, float]) -> None:
    """As it was reported, else as the last matrix gives it; whoever has neither is left out."""
    assert _values(filled, DOCUMENT, metric) == pytest.approx(expected)


def test_values_follow_the_newest_report(filled: Database) -> None:
    """What is kept in memory is not older than the study's last event."""
    assert _values(filled, DOCUMENT, "recall.car")[1] == 0.9
    newer = ((80, 10), (6, 4))
    with filled.transaction() as session:
        study = session.query(Study).one()
        trial = session.query(Trial).filter_by(number=1).one()
        report = Report(
            trial_id=trial.id,
            step=4,
            study_id=study.id,
            attempt=1,
            metrics=derive(newer, CLASSES),
            confusion=pack(newer),
            seconds=1.0,
            created_at=NOW,
        )
        session.add(report)
        trial.step = 4
        study.event_seq += 1
    assert _values(filled, DOCUMENT, "recall.car") == pytest.approx({0: 0.6, 1: 0.4, 2: 0.5})


def test_values_of_an_unknown_metric_are_refused(filled: Database) -> None:
    """What no trial reported and no matrix gives."""
    with pytest.raises(InvalidInput, match=r"by: .*did you mean.*iou\.car"):
        _values(filled, DOCUMENT, "iou.cat")


def _values(db: Database, document: StudySpec, metric: str) -> Mapping[int, float]:
    with db.snapshot() as session:
        return rankings.values_by(session, session.query(Study).one(), document, metric)
