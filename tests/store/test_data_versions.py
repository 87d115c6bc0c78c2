"""Data that change while a study runs: trials say what they were trained on, and are not mixed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import Conflict
from tuner.search.rules import Rules
from tuner.service import (
    assignments,
    importance,
    leases,
    overview,
    pareto,
    rankings,
    transfers,
    versions,
)
from tuner.service.searches import curves, observe
from tuner.spec.messages import (
    Action,
    Assignment,
    Capabilities,
    Device,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
)
from tuner.spec.states import TrialState
from tuner.spec.versions import DataVersions, is_comparable
from tuner.store import studies as study_rows
from tuner.store.engine import Database

OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Workers of a database with one queued study of eight trials of three epochs."""
    fleet = Fleet(database)
    fleet.submit()
    return fleet


def report(
    fleet: Fleet, held: Assignment, *steps: int, data: str | None, value: float = 0.5
) -> LeaseStatus:
    """Send the reports of these steps, trained on a version of the data."""
    batch = ReportBatch(
        reports=tuple(
            Report(step=step, metrics={"miou": value}, seconds=2.0, data=data) for step in steps
        )
    )
    return leases.report(
        fleet.db, held.lease, held.token, batch, lease_seconds=60.0, searches=fleet.searches
    )


def train(fleet: Fleet, held: Assignment, *, data: str | None, value: float) -> None:
    """Train a trial to its end on a version of the data."""
    steps = range(held.last_step + 1, held.config.training.epochs + 1)
    report(fleet, held, *steps, data=data, value=value)
    fleet.finish(held)


def test_a_running_trial_says_its_version(fleet: Fleet) -> None:
    """The first report is enough; no trial has to end for it."""
    held = fleet.take()
    report(fleet, held, 1, data=OLD)
    assert overview.trial(fleet.db, "streets", held.trial).data_version == OLD


def test_one_version_is_no_news(fleet: Fleet) -> None:
    """Without a change there is one version and no warning."""
    for value in (0.5, 0.6):
        train(fleet, fleet.take(), data=OLD, value=value)
    view = overview.study(fleet.db, "streets")
    assert view.warnings == ()
    assert [(one.fingerprint, one.trials, one.ranked) for one in view.data_versions] == [
        (OLD, 2, True)
    ]


def test_a_second_version_is_a_warning_and_an_event(fleet: Fleet) -> None:
    """The owner hears of it with the first report, once, in the study and in its story."""
    train(fleet, fleet.take(), data=OLD, value=0.5)
    report(fleet, fleet.take(), 1, data=NEW)
    report(fleet, fleet.take(), 1, data=NEW)
    (warning,) = overview.study(fleet.db, "streets").warnings
    assert "the data changed" in warning
    assert OLD[:12] in warning
    assert NEW[:12] in warning
    told = [event.kind for event in overview.events(fleet.db, "streets")]
    assert told.count("study.warned") == 1


def test_only_the_newest_version_with_a_result_is_ranked(fleet: Fleet) -> None:
    """The old leader stays until a trial on the new data completes, and then leaves every list."""
    train(fleet, fleet.take(), data=OLD, value=0.5)
    train(fleet, fleet.take(), data=OLD, value=0.9)
    running = fleet.take()
    report(fleet, running, 1, data=NEW, value=0.99)
    assert overview.best(fleet.db, "streets").trial == 1
    report(fleet, running, 2, 3, data=NEW, value=0.4)
    fleet.finish(running)
    assert overview.best(fleet.db, "streets").trial == 2
    view = overview.study(fleet.db, "streets")
    assert (view.best_trial, view.best_value, view.base_value) == (2, 0.4, None)
    assert [one.trial for one in rankings.ranking(fleet.db, "streets", "miou")] == [2]
    assert [one.number for one in overview.pareto(fleet.db, "streets")] == [2]
    assert [one.trial for one in pareto.front(fleet.db, "streets").steps] == [2]
    assert importance.ped_anova(fleet.db, "streets").trials == 1
    assert [point.best for point in overview.history(fleet.db, "streets")] == [None, None, 0.4]


def test_trials_of_unknown_version_rank_with_any(fleet: Fleet) -> None:
    """Workers of earlier releases say nothing before the end, imports never do."""
    train(fleet, fleet.take(), data=None, value=0.9)
    train(fleet, fleet.take(), data=OLD, value=0.5)
    assert overview.best(fleet.db, "streets").trial == 0


def test_an_outcome_tells_what_reports_did_not(fleet: Fleet) -> None:
    """A worker of the previous release names the data in its provenance alone."""
    held = fleet.take()
    report(fleet, held, 1, 2, 3, data=None)
    told = Outcome(kind=OutcomeKind.COMPLETED, provenance={"data": OLD})
    leases.finish(fleet.db, held.lease, held.token, told)
    assert overview.trial(fleet.db, "streets", 0).data_version == OLD
    assert overview.study(fleet.db, "streets").data_versions[0].ranked


def test_the_search_sees_values_of_one_version(fleet: Fleet) -> None:
    """Of trials on other data it knows that they exist, and nothing of what they reached."""
    train(fleet, fleet.take(), data=OLD, value=0.9)
    train(fleet, fleet.take(), data=NEW, value=0.5)
    with fleet.db.reading() as session:
        row = study_rows.find(session, "streets")
        seen = observe(session, row, Rules(spec()), NEW)
        found = curves(session, row, Rules(spec()))
    assert [one.values for one in seen] == [None, (0.5,)]
    assert [one.state for one in seen] == [TrialState.COMPLETED] * 2
    assert [bool(one.values) for one in found] == [False, True]


def test_a_trial_is_judged_by_those_on_its_own_data(database: Database) -> None:
    """The median of the old trials, all better, does not prune the first of the new ones."""
    fleet = Fleet(database)
    pruner = {"name": "median", "startup": 1, "warmup": 0}
    search = {"sampler": "random", "pruner": pruner, "trials": 8, "parallel": 8}
    fleet.submit(spec(search=search))
    for _ in range(4):
        train(fleet, fleet.take(), data=OLD, value=0.9)
    worst, other = fleet.take(), fleet.take()
    assert report(fleet, worst, 1, 2, data=NEW, value=0.1).verdict.action is Action.CONTINUE
    assert report(fleet, other, 1, 2, data=OLD, value=0.1).verdict.action is Action.PRUNE


def test_a_warm_start_learns_from_one_version(fleet: Fleet) -> None:
    """What an earlier study reached on data that it does not rank is not handed on."""
    train(fleet, fleet.take(), data=OLD, value=0.9)
    train(fleet, fleet.take(), data=NEW, value=0.5)
    warm = spec("warm", search={"trials": 8, "warm_start": ["streets"]})
    with fleet.db.reading() as session:
        (known,) = transfers.earlier(session, warm)
    assert [one.value for one in known] == [0.5]


def test_reports_of_other_data_are_refused(fleet: Fleet) -> None:
    """One trial's curve is of one version: neither a batch nor a later report may mix them."""
    held = fleet.take()
    mixed = ReportBatch(
        reports=(
            Report(step=1, metrics={"miou": 0.5}, data=OLD),
            Report(step=2, metrics={"miou": 0.5}, data=NEW),
        )
    )
    with pytest.raises(Conflict, match="different versions of the data"):
        leases.report(
            fleet.db, held.lease, held.token, mixed, lease_seconds=60.0, searches=fleet.searches
        )
    report(fleet, held, 1, data=OLD)
    with pytest.raises(Conflict, match="different versions of the data"):
        report(fleet, held, 2, data=NEW)
    assert overview.trial(fleet.db, "streets", held.trial).step == 1


def test_a_trial_of_outdated_data_begins_anew(fleet: Fleet) -> None:
    """It keeps its number and params, loses its steps, and no attempt is counted as lost."""
    held = fleet.take()
    report(fleet, held, 1, 2, data=OLD, value=0.9)
    fleet.finish(held, OutcomeKind.YIELDED)
    again = fleet.take()
    assert (again.trial, again.last_step, again.data_version) == (held.trial, 2, OLD)
    for _ in range(4):
        fleet.finish(again, OutcomeKind.OUTDATED)
        trial = overview.trial(fleet.db, "streets", held.trial)
        assert (trial.state, trial.step, trial.data_version) == (TrialState.WAITING, 0, None)
        assert (trial.value, trial.best_value, trial.metrics) == (None, None, {})
        assert "begins anew" in trial.reason
        assert overview.steps(fleet.db, "streets", held.trial) == ()
        again = fleet.take()
        assert (again.trial, again.last_step, again.resume) == (held.trial, 0, None)
        assert again.config == held.config
    train(fleet, again, data=NEW, value=0.3)
    trial = overview.trial(fleet.db, "streets", held.trial)
    assert (trial.state, trial.best_value, trial.data_version) == (TrialState.COMPLETED, 0.3, NEW)


def test_a_version_that_no_trial_is_on_is_forgotten(fleet: Fleet) -> None:
    """Where every trial began anew there is one version, and nothing to warn of."""
    held = fleet.take()
    report(fleet, held, 1, data=OLD)
    fleet.finish(held, OutcomeKind.OUTDATED)
    report(fleet, fleet.take(), 1, data=NEW)
    view = overview.study(fleet.db, "streets")
    assert [one.fingerprint for one in view.data_versions] == [NEW]
    assert view.warnings == ()


def test_a_search_forgets_what_a_trial_lost(database: Database) -> None:
    """Values from before a trial began anew are nobody's peers any more."""
    fleet = Fleet(database)
    pruner = {"name": "median", "startup": 1, "warmup": 0}
    search = {"sampler": "random", "pruner": pruner, "trials": 8, "parallel": 8}
    fleet.submit(spec(search=search))
    train(fleet, fleet.take(), data=OLD, value=0.5)
    held = fleet.take()
    report(fleet, held, 1, 2, data=OLD, value=0.9)
    with fleet.db.transaction() as session:
        row = study_rows.lock(session, "streets")
        with fleet.searches.of(session, row, Rules(spec(search=search))) as known:
            assert known.table.of(held.trial).values == {2: 0.9}
    fleet.finish(held, OutcomeKind.OUTDATED)
    with fleet.db.transaction() as session:
        row = study_rows.lock(session, "streets")
        with fleet.searches.of(session, row, Rules(spec(search=search))) as known:
            assert known.table.of(held.trial).values == {}
            assert sum(value == value for value in known.table.column(2)) == 1


def test_a_user_who_cancelled_is_heard(fleet: Fleet) -> None:
    """A trial that is to stop does not begin anew because its data changed."""
    from tuner.service import studies

    held = fleet.take()
    report(fleet, held, 1, data=OLD)
    studies.cancel_trial(fleet.db, "streets", held.trial)
    fleet.finish(held, OutcomeKind.OUTDATED)
    trial = overview.trial(fleet.db, "streets", held.trial)
    assert (trial.state, trial.step) == (TrialState.CANCELLED, 1)


def test_confirmation_on_other_data_says_nothing(database: Database) -> None:
    """Fresh seeds on changed data are lost trainings: the search's own values go on counting."""
    fleet = Fleet(database)
    confirm = {"top": 1, "seeds": 1}
    search = {"sampler": "random", "pruner": "none", "trials": 2, "parallel": 8}
    fleet.submit(spec(search={**search, "confirm": confirm}))
    for value in (0.5, 0.9):
        train(fleet, fleet.take(), data=OLD, value=value)
    train(fleet, fleet.take(), data=NEW, value=0.1)
    found = overview.best(fleet.db, "streets")
    assert (found.trial, found.metrics["miou"]) == (1, 0.9)
    assert found.confirmation is not None
    assert found.confirmation.leaders[0].lost == 1


events = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


@given(events=events)
def test_what_is_ranked_has_a_result_if_anything_has(events: list[tuple[str, bool]]) -> None:
    """The ranked version is the newest completed one, else the newest, and never goes back."""
    known, order, done = DataVersions(), list[str](), set[str]()
    for version, has_completed in events:
        known = known.with_completed(version) if has_completed else known.with_seen(version)
        order += [version] if version not in order else []
        done |= {version} if has_completed else set()
        expected = [each for each in order if each in done] or order
        assert known.ranked == expected[-1]
        assert DataVersions.of(known.model_dump(mode="json")) == known
        assert (known.warning() is None) == (len(order) < 2)
        assert is_comparable(None, known.ranked)
        assert is_comparable(known.ranked, known.ranked)


def test_versions_are_found_in_rows_of_an_earlier_release(fleet: Fleet) -> None:
    """A study whose row says nothing learns the versions from its trials, once."""
    for data, value in ((OLD, 0.9), (NEW, 0.5)):
        train(fleet, fleet.take(), data=data, value=value)
    with fleet.db.transaction() as session:
        study_rows.lock(session, "streets").data_versions = None
    train(fleet, fleet.take(), data=NEW, value=0.4)
    with fleet.db.reading() as session:
        row = study_rows.find(session, "streets")
        known = DataVersions.of(row.data_versions)
        assert versions.TOPIC in row.warnings
    assert (known.seen, known.ranked) == ((OLD, NEW), NEW)


def offering(fleet: Fleet, worker: str, *, cpus: int, kind: str = "cpu") -> Assignment:
    """The trial that a worker with so many threads gets."""
    offered = Capabilities(cpus=cpus, device=Device(kind=kind))
    request = LeaseRequest(worker=worker, capabilities=offered)
    held = assignments.take(fleet.db, request, lease_seconds=60.0, searches=fleet.searches)
    assert held is not None
    return held


def test_an_exact_trial_keeps_its_threads_on_another_cpu(fleet: Fleet) -> None:
    """Sums differ with the number of threads, so a moved trial takes its own number along."""
    first = offering(fleet, "wide", cpus=8)
    report(fleet, first, 1, data=OLD)
    fleet.finish(first, OutcomeKind.YIELDED)
    again = offering(fleet, "narrow", cpus=2)
    assert (again.trial, again.threads) == (first.trial, 8)
    fleet.finish(again, OutcomeKind.OUTDATED)
    anew = offering(fleet, "narrow", cpus=2)
    assert (anew.trial, anew.threads) == (first.trial, 2)


def test_threads_are_free_where_no_number_depends_on_them(database: Database) -> None:
    """On a GPU, and in the fast mode, a trial trains with its worker's own."""
    fleet = Fleet(database)
    fleet.submit()
    assert offering(fleet, "gpu", cpus=8, kind="cuda").threads is None
    quick = {"training": {"epochs": 3, "determinism": "fast"}}
    fleet.submit(spec("quick", base=quick, priority=90))
    held = offering(fleet, "cpu", cpus=8)
    assert (held.study, held.threads) == ("quick", None)
