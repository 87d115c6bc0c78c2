"""An objective that the data or the workers cannot give stops the study with its first report."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.service import leases, overview
from tuner.service.objectives import undefined_reason
from tuner.spec.messages import Action, Assignment, LeaseStatus, OutcomeKind, Report, ReportBatch
from tuner.spec.metrics import compute, derive
from tuner.spec.states import StudyState, TrialState
from tuner.spec.undefined import why_undefined
from tuner.store.engine import Database

CLASSES = ("road", "car", "tram")
# Rows are labels: no validation image shows a tram, and the second predicts some.
NO_TRAM = ((8, 2, 0), (1, 9, 0), (0, 0, 0))
TRAM_PREDICTED = ((7, 2, 1), (1, 9, 0), (0, 0, 0))
NO_CAR_FOUND = ((10, 0, 0), (5, 0, 0), (5, 0, 0))


def study(*metrics: str, **changes: Any) -> Any:
    """A study over three classes by these metrics."""
    dataset = {"format": "synthetic", "classes": list(CLASSES), "size": [32, 32]}
    return spec(
        dataset=dataset,
        objectives=[{"metric": metric} for metric in metrics or ["miou"]],
        **changes,
    )


def tell(fleet: Fleet, held: Assignment, step: int, matrix: Any, **metrics: float) -> LeaseStatus:
    """Report an epoch with its matrix, and what our trainer derives of it."""
    found = {} if matrix is None else derive(matrix, CLASSES)
    report = Report(step=step, metrics={**found, **metrics}, confusion=matrix)
    return leases.report(
        fleet.db,
        held.lease,
        held.token,
        ReportBatch(reports=(report,)),
        lease_seconds=LEASE_SECONDS,
        searches=fleet.searches,
    )


@pytest.mark.parametrize("metric", ["recall.tram", "iou.tram", "dice.tram", "precision.[tram]"])
@pytest.mark.parametrize("matrix", [NO_TRAM, TRAM_PREDICTED], ids=["never", "predicted"])
def test_a_class_without_labels_stops_the_study(
    database: Database, metric: str, matrix: Any
) -> None:
    """The reason names objective, class and what to do; the worker is told to stop."""
    fleet = Fleet(database)
    fleet.submit(study(metric))
    status = tell(fleet, fleet.take(), 1, matrix, train_loss=1.0)
    view = overview.study(database, "streets")
    assert view.state is StudyState.FAILED
    assert f"the objective {metric} cannot be measured" in view.reason
    assert "class 'tram' is in no validation image" in view.reason
    assert "put images that show it into the validation split, or use another" in view.reason
    assert status.verdict.action is Action.STOP
    assert fleet.ask("w2") is None


def test_a_constraint_that_cannot_be_measured_stops_the_study(database: Database) -> None:
    """No trial could ever keep it."""
    fleet = Fleet(database)
    fleet.submit(study("miou", constraints=[{"metric": "recall.tram", "min": 0.5}]))
    tell(fleet, fleet.take(), 1, NO_TRAM)
    assert "the constraint on recall.tram" in overview.study(database, "streets").reason


def test_a_worker_that_sends_no_matrix_cannot_train_for_what_needs_one(database: Database) -> None:
    """The reason says that neither the metric nor a matrix came."""
    fleet = Fleet(database)
    fleet.submit(study("recall.car"))
    tell(fleet, fleet.take(), 1, None, miou=0.5)
    view = overview.study(database, "streets")
    assert view.state is StudyState.FAILED
    assert "neither the metric nor a confusion matrix" in view.reason


@pytest.mark.parametrize(
    ("metric", "matrix", "metrics"),
    [
        ("precision.car", NO_CAR_FOUND, {}),
        ("iou.car", NO_CAR_FOUND, {}),
        ("iou.[car,tram]", NO_TRAM, {}),
        ("iou.worst", TRAM_PREDICTED, {}),
        ("miou", NO_TRAM, {}),
        ("recall.car", None, {"recall.car": 0.5}),
        ("recall.car", None, {"recall.car": 0.0}),
        ("train_loss", NO_TRAM, {}),
    ],
)
def test_what_another_epoch_may_measure_stops_nothing(
    database: Database, metric: str, matrix: Any, metrics: dict[str, float]
) -> None:
    """A class that was not predicted yet, a loss that was lost, a part of the classes."""
    fleet = Fleet(database)
    fleet.submit(study(metric))
    status = tell(fleet, fleet.take(), 1, matrix, **metrics)
    assert status.verdict.action is Action.CONTINUE
    assert overview.study(database, "streets").state is StudyState.RUNNING


def test_a_value_that_is_missing_later_stops_nothing(database: Database) -> None:
    """Only what a trial's first epoch lacks, and no trial ever had, is a matter of the data."""
    fleet = Fleet(database)
    fleet.submit(study("recall.car"))
    first = fleet.take("w1")
    tell(fleet, first, 1, ((8, 2, 0), (1, 9, 0), (0, 0, 4)))
    tell(fleet, first, 2, None, train_loss=2.0)
    tell(fleet, fleet.take("w2"), 1, NO_CAR_FOUND)
    tell(fleet, first, 3, ((8, 2, 0), (1, 9, 0), (0, 0, 4)))
    tell(fleet, fleet.take("w3"), 1, None, train_loss=2.0)
    assert overview.study(database, "streets").state is StudyState.RUNNING


def test_its_trial_ends_with_the_study(database: Database) -> None:
    """Whatever the worker makes of the verdict, nothing of the study goes on."""
    fleet = Fleet(database)
    fleet.submit(study("recall.tram"))
    held = fleet.take()
    tell(fleet, held, 1, NO_TRAM)
    fleet.finish(held, OutcomeKind.STOPPED)
    (trial,) = overview.trials(database, "streets").items
    assert trial.state is TrialState.CANCELLED
    assert overview.study(database, "streets").state is StudyState.FAILED


matrices = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=3, max_size=3)


@given(
    matrix=matrices,
    metric=st.sampled_from(
        ["miou", "iou.worst", "recall.car", "iou.car", "dice.[car,tram]", "precision", "recall"]
    ),
)
def test_a_metric_is_undefined_only_where_it_can_never_be_more_than_zero(
    matrix: list[list[int]], metric: str
) -> None:
    """What `why_undefined` says of the labels agrees with what the metric gives of any matrix."""
    labelled = [sum(row) for row in matrix]
    perfect = [[labelled[k] if k == j else 0 for j in range(3)] for k in range(3)]
    reachable = compute(metric, perfect, CLASSES)
    undefined = why_undefined(metric, labelled, CLASSES)
    assert (undefined is not None) == (not reachable)
    if undefined is not None:
        assert not compute(metric, matrix, CLASSES)
        report = Report(step=1, metrics={}, confusion=tuple(map(tuple, matrix)))
        found = undefined_reason(study(metric), report)
        assert found is not None
        assert undefined in found.reason
