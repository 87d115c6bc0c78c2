"""The front of a study with several objectives, over time."""

from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidInput
from tuner.service import leases, overview, pareto
from tuner.spec.messages import OutcomeKind, Report, ReportBatch
from tuner.spec.study import StudySpec
from tuner.store.engine import Database

BOTH = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]


def submit(database: Database, *points: tuple[float, float], **changes: Any) -> Fleet:
    """A study whose trials end with these values of miou and train_loss."""
    fleet = Fleet(database)
    document: StudySpec = spec(epochs=1, objectives=BOTH, **changes)
    fleet.submit(document)
    for miou, loss in points:
        held = fleet.take()
        report = Report(step=1, metrics={"miou": miou, "train_loss": loss})
        batch = ReportBatch(reports=(report,))
        leases.report(
            database, held.lease, held.token, batch, lease_seconds=60, searches=fleet.searches
        )
        fleet.finish(held)
    return fleet


def test_the_volume_grows_with_the_front(database: Database) -> None:
    """Up to the worst seen of each objective; a beaten trial adds nothing."""
    submit(database, (0.2, 1.0), (0.6, 0.8), (0.5, 0.9), (0.4, 0.5))
    view = pareto.front(database, "streets")
    assert view.reference == (0.2, 1.0)
    assert [one.on_front for one in view.steps] == [False, True, False, True]
    assert [one.hypervolume for one in view.steps] == pytest.approx([0, 0.08, 0.08, 0.14])
    assert view.hypervolume == pytest.approx(0.14)


def test_a_given_reference_is_in_the_objectives_own_values(database: Database) -> None:
    """With it the volumes of two studies can be compared."""
    submit(database, (0.2, 1.0), (0.6, 0.8))
    view = pareto.front(database, "streets", reference=[0.0, 2.0])
    assert view.reference == (0.0, 2.0)
    assert view.hypervolume == pytest.approx(0.72)


@pytest.mark.parametrize("reference", [[0.1], [0.1, 0.2, 0.3], [0.1, float("nan")]])
def test_a_reference_has_one_number_per_objective(
    database: Database, reference: list[float]
) -> None:
    """The message names the objectives."""
    submit(database)
    with pytest.raises(InvalidInput, match="miou, train_loss"):
        pareto.front(database, "streets", reference=reference)


def test_infeasible_and_unfinished_trials_are_no_points(database: Database) -> None:
    """Neither can be on the front, nor move its reference."""
    bound = [{"metric": "miou", "min": 0.3}]
    fleet = submit(database, (0.2, 0.1), (0.6, 0.8), constraints=bound)
    fleet.finish(fleet.take(), OutcomeKind.FAILED)
    assert [one.trial for one in pareto.front(database, "streets").steps] == [1]


def test_the_front_is_the_same_wherever_it_is_shown(database: Database) -> None:
    """The list of the front, the front over time and the confirmed leaders name the same trials."""
    bound = [{"metric": "miou", "min": 0.3}]
    points = (0.2, 0.1), (0.6, 0.8), (0.4, 0.5), (0.35, 0.9)
    search = {"trials": 4, "confirm": {"top": 2, "seeds": 2}}
    fleet = submit(database, *points, constraints=bound, search=search)
    fleet.train(fleet.take(), value=0.9)  # a confirmation: it is on no front
    listed = [trial.number for trial in overview.pareto(database, "streets")]
    drawn = [one.trial for one in pareto.front(database, "streets").steps if one.on_front]
    found = overview.trials(database, "streets", limit=50).items
    confirmed = {trial.confirms for trial in found if trial.confirms is not None}
    assert (listed, drawn, confirmed) == ([1, 2], [1, 2], {1, 2})


def test_a_study_without_results_has_an_empty_front(database: Database) -> None:
    """Nothing is made up before a trial has completed."""
    submit(database)
    view = pareto.front(database, "streets")
    assert (view.reference, view.steps, view.hypervolume) == ((), (), 0.0)
