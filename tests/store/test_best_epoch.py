"""Studies in which a trial's best epoch counts, on both databases."""

from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tests.store.sheets import show
from tuner.service import (
    documents,
    examples,
    leases,
    overview,
    rankings,
    results,
    searches,
    studies,
)
from tuner.service.comparisons import comparison
from tuner.service.trial_lists import TrialSelection
from tuner.spec.messages import (
    Action,
    Assignment,
    BestStep,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
)
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyChange
from tuner.store import studies as study_rows
from tuner.store.engine import Database

BY = {"metric": "miou", "direction": "maximize", "at": "best"}


def study(*, epochs: int = 3, **changes: Any) -> StudySpec:
    """A small study whose trials count at their best epoch by miou."""
    return spec(epochs=epochs, **{"objectives": [BY], **changes})


def promoting(**search: Any) -> StudySpec:
    """Rungs at 2 and 6 of nine epochs."""
    settings = {"sampler": "random", "pruner": "promote", "trials": 4, "parallel": 8, **search}
    base = {"training": {"epochs": 9}, "schedule": {"warmup": 0}}
    return study(epochs=9, base=base, search=settings)


def tell(fleet: Fleet, held: Assignment, *values: float) -> LeaseStatus:
    """Report values of the steps that follow, one by one; the loss is the number of the step."""
    status = None
    for step, value in enumerate(values, start=held.last_step + 1):
        status = fleet.report(held, step, value=value, loss=float(step))
    assert status is not None
    return status


def to_rung(fleet: Fleet, *values: float) -> Assignment:
    """Train the next trial to the first rung, and pause it there."""
    held = fleet.take()
    assert tell(fleet, held, *values).verdict.action is Action.PAUSE
    fleet.finish(held, OutcomeKind.PAUSED)
    return held


def classes_of(database: Database) -> tuple[str, ...]:
    """Classes of the study."""
    with database.reading() as session:
        return documents.spec_of(study_rows.find(session, "streets")).dataset.classes


def test_value_and_metrics_are_those_of_the_best_epoch(database: Database) -> None:
    """All of them: a row of the table is of one model, and so is the best configuration."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take()
    tell(fleet, held, 0.3, 0.6, 0.5)
    fleet.finish(held)

    view = overview.trial(database, "streets", 0)
    assert (view.value, view.value_step, view.step) == (0.6, 2, 3)
    assert view.metrics == {"miou": 0.6, "train_loss": 2.0}
    with database.reading() as session:
        row = study_rows.find(session, "streets")
        best = results.best(session, row, documents.spec_of(row))
    assert best.metrics == view.metrics
    assert (best.provenance["epoch"], best.provenance["epochs"]) == (2, 3)
    assert best.config.best_by == documents.spec_of(row).best_by is not None


def test_where_the_last_epoch_counts_nothing_is_said_of_another(database: Database) -> None:
    """Neither a worker nor a row hears of a best epoch."""
    fleet = Fleet(database)
    fleet.submit(spec())
    held = fleet.take()
    tell(fleet, held, 0.3, 0.6)
    fleet.finish(held, OutcomeKind.YIELDED)

    again = fleet.take()
    assert (again.trial, again.best, again.config.best_by) == (0, None, None)
    view = overview.trial(database, "streets", 0)
    assert (view.value, view.value_step) == (0.6, 2)
    tell(fleet, again, 0.5)
    view = overview.trial(database, "streets", 0)
    assert (view.value, view.value_step, view.best_value) == (0.5, 3, 0.6)


def test_of_equal_epochs_the_earlier_counts_and_none_without_a_value(database: Database) -> None:
    """A metric may be undefined at an epoch, and defined again at the next."""
    fleet = Fleet(database)
    fleet.submit(study(epochs=4))
    held = fleet.take()
    reports = (
        Report(step=1, metrics={"train_loss": 1.0}),
        Report(step=2, metrics={"miou": 0.4, "train_loss": 2.0}),
        Report(step=3, metrics={"train_loss": 3.0}),
        Report(step=4, metrics={"miou": 0.4, "train_loss": 4.0}),
    )
    seen = []
    for report in reports:
        batch = ReportBatch(reports=(report,))
        leases.report(
            database, held.lease, held.token, batch, lease_seconds=60, searches=fleet.searches
        )
        view = overview.trial(database, "streets", 0)
        seen.append((view.value, view.value_step))

    assert seen == [(None, 1), (0.4, 2), (0.4, 2), (0.4, 2)]


def test_a_worker_is_as_fast_as_its_last_epoch(database: Database) -> None:
    """Not as the epoch that counts, nor as another worker was that had the trial before."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take("w1")
    for step, value, speed in ((1, 0.9, 400.0), (2, 0.1, 100.0)):
        metrics = {"miou": value, "images_per_second": speed}
        batch = ReportBatch(reports=(Report(step=step, metrics=metrics),))
        leases.report(
            database, held.lease, held.token, batch, lease_seconds=60, searches=fleet.searches
        )
    assert [worker.images_per_second for worker in overview.workers(database)] == [100.0]

    fleet.finish(held, OutcomeKind.YIELDED)
    assert fleet.take("w2").trial == held.trial
    assert [worker.images_per_second for worker in overview.workers(database)] == [None, None]


@pytest.mark.parametrize("epoch", [None, 1, 2])
def test_a_model_of_another_epoch_than_the_value_is_warned_of(
    database: Database, caplog: pytest.LogCaptureFixture, epoch: int | None
) -> None:
    """Workers that do not say which epoch it is of are believed."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take()
    tell(fleet, held, 0.3, 0.6, 0.5)
    provenance = {} if epoch is None else {"model_epoch": epoch}
    outcome = Outcome(kind=OutcomeKind.COMPLETED, step=3, provenance=provenance)
    leases.finish(database, held.lease, held.token, outcome)

    warned = "counts at epoch 2, and its model is of epoch 1" in caplog.text
    assert warned == (epoch == 1)


def test_bounds_are_kept_at_the_epoch_that_counts(database: Database) -> None:
    """The loss is too high at the best epoch, though not at the first."""
    fleet = Fleet(database)
    fleet.submit(study(constraints=[{"metric": "train_loss", "max": 1.5}]))
    for values in ((0.3, 0.6, 0.5), (0.4, 0.3, 0.2)):
        held = fleet.take()
        tell(fleet, held, *values)
        fleet.finish(held)

    assert [overview.trial(database, "streets", n).feasible for n in (0, 1)] == [False, True]
    assert overview.study(database, "streets").best_trial == 1


def test_trials_are_compared_at_a_rung_by_the_best_up_to_it(database: Database) -> None:
    """One that was the best before the rung goes on, however weak it is at the rung itself."""
    fleet = Fleet(database)
    fleet.submit(promoting())
    fleet.take("base")
    to_rung(fleet, 0.5, 0.1)
    to_rung(fleet, 0.2, 0.3)
    held = fleet.take()
    assert tell(fleet, held, 0.9, 0.1).verdict.action is Action.CONTINUE

    assert "best miou 0.300 up to epoch 2" in overview.trial(database, "streets", 2).reason
    with database.reading() as session:
        row = study_rows.find(session, "streets")
        found = searches.curves(session, row, documents.rules_of(row))
    assert [curve.values for curve in found[1:]] == [{2: 0.5}, {2: 0.3}, {2: 0.9}]
    compared = comparison(database, "streets", None, None, most=9)
    assert [(one.number, one.values) for one in compared.trials] == [
        (1, (0.5,)),
        (2, (0.3,)),
        (3, (0.9,)),
    ]


def test_a_promoted_trial_keeps_its_best_from_before(database: Database) -> None:
    """Its next worker is told of it, and later epochs that are worse do not replace it."""
    fleet = Fleet(database)
    fleet.submit(promoting(trials=2))
    fleet.train(fleet.take("base"), value=0.1)
    held = fleet.take()
    assert held.best is None
    if tell(fleet, held, 0.9, 0.4).verdict.action is Action.PAUSE:
        fleet.finish(held, OutcomeKind.PAUSED)
    else:
        fleet.finish(held, OutcomeKind.YIELDED)
    again = fleet.take()

    assert (again.trial, again.best) == (1, BestStep(step=1, value=0.9))
    fleet.train(again, value=0.5)
    view = overview.trial(database, "streets", 1)
    assert (view.state, view.value, view.value_step) == (TrialState.COMPLETED, 0.9, 1)
    assert view.metrics["train_loss"] == 1.0


def test_a_rung_of_its_own_has_a_best_of_its_own(database: Database) -> None:
    """The model of a training on fewer images is gone when the whole one begins."""
    promote = {"name": "promote", "eta": 2, "min_step": 2}
    search = {"fidelity": "data", "sampler": "random", "pruner": promote, "trials": 2}
    fleet = Fleet(database)
    fleet.submit(study(epochs=8, search=search))
    fleet.take("base")
    held = fleet.take()
    tell(fleet, held, 0.9, 0.8)
    fleet.finish(held, OutcomeKind.PAUSED)

    held = fleet.take()
    assert (held.last_step, held.best) == (2, None)
    tell(fleet, held, 0.5)
    fleet.finish(held, OutcomeKind.YIELDED)
    held = fleet.take()
    assert (held.last_step, held.best) == (3, BestStep(step=3, value=0.5))
    tell(fleet, held, 0.4)
    view = overview.trial(database, "streets", 1)
    assert (view.value, view.value_step, view.best_value) == (0.5, 3, 0.9)


def test_a_trial_that_begins_anew_forgets_its_best_epoch(database: Database) -> None:
    """The data changed: what it reported before is taken back."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take()
    tell(fleet, held, 0.6, 0.5)
    outcome = Outcome(kind=OutcomeKind.OUTDATED, step=2, provenance={"data": "other"})
    leases.finish(database, held.lease, held.token, outcome)
    again = fleet.take()

    assert (again.trial, again.last_step, again.best) == (0, 0, None)
    tell(fleet, again, 0.2)
    view = overview.trial(database, "streets", 0)
    assert (view.value, view.value_step) == (0.2, 1)


def test_another_metric_comes_from_the_matrix_of_the_epoch_that_counts(database: Database) -> None:
    """Ranked by what was not reported, trials are ranked by the models that there are."""
    fleet = Fleet(database)
    fleet.submit(study())
    classes = len(classes_of(database))
    good = tuple(tuple(4 if a == b else 0 for b in range(classes)) for a in range(classes))
    bad = tuple(tuple(2 for _ in range(classes)) for _ in range(classes))
    held = fleet.take()
    for step, (value, matrix) in enumerate(((0.2, bad), (0.6, good), (0.5, bad)), start=1):
        batch = ReportBatch(reports=(Report(step=step, metrics={"miou": value}, confusion=matrix),))
        leases.report(
            database, held.lease, held.token, batch, lease_seconds=60, searches=fleet.searches
        )
    fleet.finish(held)

    (ranked,) = rankings.ranking(database, "streets", "recall.worst")
    assert (ranked.trial, ranked.value) == (0, 1.0)
    assert overview.trial(database, "streets", 0).confusion == good


def test_confirmation_counts_best_epochs_too(database: Database) -> None:
    """A fresh seed is compared with what it confirms by the same rule."""
    fleet = Fleet(database)
    fleet.submit(study(search={"sampler": "random", "pruner": "none", "trials": 1}))
    held = fleet.take()
    tell(fleet, held, 0.3, 0.6, 0.5)
    fleet.finish(held)
    change = StudyChange.model_validate({"confirm": {"top": 1, "seeds": 1}})
    studies.change(database, "streets", change)
    again = fleet.take()
    assert again.config.best_by is not None
    tell(fleet, again, 0.7, 0.1, 0.2)
    fleet.finish(again)

    with database.reading() as session:
        row = study_rows.find(session, "streets")
        found = results.best(session, row, documents.spec_of(row)).confirmation
    assert found is not None
    assert [leader.mean for leader in found.leaders] == [pytest.approx(0.7)]


def test_images_across_trials_are_those_of_the_epoch_that_counts(database: Database) -> None:
    """Sheets of later epochs show another model than the row is of."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take()
    for step, score in ((1, 0.1), (2, 0.2), (3, 0.3)):
        show(fleet, held, score, step=step)
    tell(fleet, held, 0.3, 0.6, 0.5)
    fleet.finish(held)

    by_image = TrialSelection(sort="image.0", descending=True)
    for selection in (TrialSelection(), by_image):
        (row,) = examples.of_study(database, "streets", selection).rows
        assert row.predictions is not None
        assert row.predictions.step == 2
    assert examples.of_trial(database, "streets", 0).value_step == 2
