"""A study chosen by another metric than its own, from what its trials stored."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidInput, NotFound
from tuner.service import leases, overview, rankings
from tuner.spec.messages import Assignment, Outcome, OutcomeKind, Report, ReportBatch
from tuner.spec.metrics import derive
from tuner.spec.states import TrialState
from tuner.store.engine import Database

Matrix = tuple[tuple[int, int], tuple[int, int]]
# Trials 0 to 2: the first is best on the mean, the second finds the most cars, the third is poor.
MATRICES: tuple[Matrix, ...] = (((90, 0), (4, 6)), ((80, 10), (1, 9)), ((60, 30), (5, 5)))
CLASSES = ("road", "car")


def report(fleet: Fleet, held: Assignment, matrix: Matrix, **metrics: float) -> None:
    """Send every step with this matrix; what is derived from it only where nothing else is."""
    named = metrics or derive(matrix, CLASSES)
    reports = tuple(Report(step=s, metrics=named, confusion=matrix) for s in (1, 2, 3))
    batch = ReportBatch(reports=reports)
    leases.report(
        fleet.db, held.lease, held.token, batch, lease_seconds=60, searches=fleet.searches
    )
    fleet.finish(held)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """A study of two classes with three trials of known matrices."""
    fleet = Fleet(database)
    fleet.submit()
    for matrix in MATRICES:
        report(fleet, fleet.take(), matrix)
    return fleet


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("iou.car", [0, 1, 2]),
        ("recall.car", [1, 0, 2]),
        ("precision.worst", [0, 1, 2]),
        ("iou.[road]", [0, 1, 2]),
    ],
)
def test_stored_matrices_rank_by_any_metric(fleet: Fleet, metric: str, order: list[int]) -> None:
    """What nobody thought of at submission can still choose: nothing is trained for it."""
    found = rankings.ranking(fleet.db, "streets", metric)
    assert [one.trial for one in found] == order
    assert [one.rank for one in found] == [1, 2, 3]


def test_the_best_by_another_metric(fleet: Fleet) -> None:
    """Config and metrics are the chosen trial's, the metric that chose it among them."""
    own = overview.best(fleet.db, "streets")
    found = overview.best(fleet.db, "streets", objective="recall.car")
    assert (own.trial, found.trial) == (0, 1)
    assert found.metrics["recall.car"] == 0.9
    assert found.config == overview.trial(fleet.db, "streets", 1).config
    assert found.provenance["objective"] == {"metric": "recall.car", "direction": "maximize"}


def test_a_direction_can_be_turned(fleet: Fleet) -> None:
    """Whoever asks for the worst gets it."""
    assert overview.best(fleet.db, "streets", direction="minimize").trial == 2


def test_an_unknown_metric_gets_the_nearest(fleet: Fleet) -> None:
    """A name that no matrix and no report knows is a mistake of the caller."""
    with pytest.raises(InvalidInput, match=r"did you mean.*iou\.car"):
        overview.best(fleet.db, "streets", objective="iou.cat")


def test_a_metric_that_was_not_stored_is_told(database: Database) -> None:
    """Trials that sent no matrix cannot be ranked by what would derive from it."""
    fleet = Fleet(database)
    fleet.submit()
    fleet.train(fleet.take())
    with pytest.raises(NotFound, match=r"reported 'recall\.car', or a confusion matrix"):
        rankings.ranking(database, "streets", "recall.car")


def test_whatever_a_worker_reports_can_rank(database: Database) -> None:
    """A metric of the machine has no fixed name; that a trial reported it is enough."""
    fleet = Fleet(database)
    fleet.submit()
    for speed, matrix in zip((30.0, 10.0), MATRICES, strict=False):
        report(fleet, fleet.take(), matrix, miou=0.5, latency=speed)
    found = rankings.ranking(database, "streets", "latency", direction="minimize")
    assert [(one.trial, one.value) for one in found] == [(1, 10.0), (0, 30.0)]


def test_an_objective_over_some_classes_comes_from_the_matrix(database: Database) -> None:
    """Workers report what they always report; the study's own metric is computed on arrival."""
    fleet = Fleet(database)
    fleet.submit(
        spec(
            objectives=[{"metric": "recall.[car]"}],
            constraints=[{"metric": "precision.car", "min": 0.4}],
        )
    )
    for matrix in MATRICES:
        report(fleet, fleet.take(), matrix)
    assert [point.value for point in overview.history(database, "streets")] == [0.6, 0.9, 0.5]
    feasible = [trial.feasible for trial in overview.trials(database, "streets").items]
    assert feasible == [True, True, False]
    assert overview.best(database, "streets").trial == 1


def test_the_table_sorts_by_reported_metrics(fleet: Fleet) -> None:
    """Any metric of the reports is a sort key, page by page."""
    page = overview.trials(fleet.db, "streets", sort="iou.road", descending=True, limit=2)
    rest = overview.trials(
        fleet.db, "streets", sort="iou.road", descending=True, limit=2, cursor=page.next
    )
    assert [trial.number for trial in (*page.items, *rest.items)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("descending", "order"), [(True, [3, 1, 0, 2, 4]), (False, [2, 0, 1, 3, 4])]
)
def test_the_table_sorts_by_what_matrices_give(
    fleet: Fleet, descending: bool, order: list[int]
) -> None:
    """Running trials have their place by their last matrix; who has none comes last."""
    matrix = ((90, 0), (0, 10))  # finds every car
    running, _ = fleet.take("w4"), fleet.take("w5")
    batch = ReportBatch(reports=(Report(step=1, metrics={"miou": 0.1}, confusion=matrix),))
    leases.report(
        fleet.db, running.lease, running.token, batch, lease_seconds=60, searches=fleet.searches
    )
    shown: list[int] = []
    cursor = None
    while len(shown) < 5:
        page = overview.trials(
            fleet.db,
            "streets",
            sort="recall.[car]",
            descending=descending,
            limit=2,
            cursor=cursor,
        )
        shown += [trial.number for trial in page.items]
        cursor = page.next
    assert (shown, cursor) == (order, None)
    only = overview.trials(
        fleet.db, "streets", sort="recall.car", state=TrialState.RUNNING, descending=descending
    )
    assert [trial.number for trial in only.items] == [3, 4]


@pytest.mark.parametrize(("used", "told"), [(2, 2), (8, None), (None, None)])
def test_the_best_config_names_the_micro_batch_that_memory_allowed(
    database: Database, used: int | None, told: int | None
) -> None:
    """A batch that was trained in parts is trained in the same parts again."""
    fleet = Fleet(database)
    fleet.submit(spec(base={"training": {"epochs": 3, "batch_size": 8}}))
    held = fleet.take()
    fleet.report(held, 1, 2, 3)
    provenance = {} if used is None else {"micro_batch": used}
    outcome = Outcome(kind=OutcomeKind.COMPLETED, provenance=provenance)
    leases.finish(database, held.lease, held.token, outcome)
    assert overview.best(database, "streets").config.training.micro_batch == told
