"""A worker whose surroundings are broken does not use up a study's trials."""

import pytest

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import assignments, leases, overview, studies
from tuner.service.faults import TRIES
from tuner.spec.fleet import WorkerView
from tuner.spec.messages import Capabilities, LeaseRequest, Outcome, OutcomeKind, Unfitness
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import StudyChange, StudyView, TrialView
from tuner.store.engine import Database


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with one queued study of eight trials."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    return fleet


def study(fleet: Fleet, name: str = "streets") -> StudyView:
    """The study as its owner sees it."""
    return overview.study(fleet.db, name)


def trial(fleet: Fleet, number: int = 0) -> TrialView:
    """One of its trials."""
    return overview.trial(fleet.db, "streets", number)


def worker(fleet: Fleet, name: str) -> WorkerView:
    """A worker as a list shows it."""
    return next(each for each in overview.workers(fleet.db) if each.name == name)


def test_the_good_worker_trains_all(fleet: Fleet, clock: Clock) -> None:
    """A worker without the data gives back whatever it takes; nothing fails, all is trained."""
    trained = 0
    while (held := fleet.ask("good")) is not None:
        while (lost := fleet.ask("bad")) is not None:
            fleet.give_back(lost)
        clock.advance(60)
        fleet.train(held)
        trained += 1
    view = study(fleet)
    assert (trained, view.state, view.counts.completed) == (8, StudyState.FINISHED, 8)
    assert view.counts.failed == 0
    assert "worker bad cannot train this study: root 'set' is not there" in view.warnings[0]
    assert "go to other workers" in view.warnings[0]


def test_what_was_given_back_goes_to_another_worker(fleet: Fleet) -> None:
    """The worker that gave it back is not asked again at once; its give-back is no lost attempt."""
    held = fleet.take("bad")
    fleet.give_back(held)
    assert fleet.ask("bad") is None
    assert (trial(fleet).state, trial(fleet).attempts) == (TrialState.WAITING, 1)
    assert "worker bad cannot train it" in trial(fleet).reason
    assert fleet.take("good").trial == held.trial


def test_an_unfit_worker_is_shown_with_its_reason(fleet: Fleet, clock: Clock) -> None:
    """It tries again by itself after a pause, and is fit as soon as a report comes."""
    fleet.give_back(fleet.take("w1"))
    shown = worker(fleet, "w1")
    assert (shown.state, shown.unfit_reason) == ("unfit", "streets: root 'set' is not there")
    clock.advance(5)
    held = fleet.take("w1")
    assert worker(fleet, "w1").state == "busy"
    fleet.report(held, 1)
    assert worker(fleet, "w1").unfit_reason is None
    assert study(fleet).warnings == ()
    fleet.report(held, 2, 3)
    fleet.finish(held)
    assert worker(fleet, "w1").state == "idle"
    assert trial(fleet).error is None


def test_one_worker_alone_waits_for_ever_more_rarely(fleet: Fleet, clock: Clock) -> None:
    """The study says at once what is missing, draws no other trial, and fails none."""
    pauses: list[float] = []
    held = fleet.take("w1")
    for _ in range(TRIES + 1):
        fleet.give_back(held)
        began = clock()
        while (again := fleet.ask("w1")) is None:
            clock.advance(5 if len(pauses) < 4 else 40)
        held = again
        pauses.append((clock() - began).total_seconds())
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600
    view = study(fleet)
    assert (view.state, view.counts.total, view.counts.failed) == (StudyState.RUNNING, 1, 0)
    assert "wait until another worker comes or this is put right" in view.warnings[0]


def test_a_study_that_all_workers_cannot_train_fails(fleet: Fleet) -> None:
    """Two that agree, and nobody else: then it is the study's fault, and it says so."""
    fleet.give_back(fleet.take("w1"))
    fleet.give_back(fleet.take("w2"))
    view = study(fleet)
    assert view.state is StudyState.FAILED
    assert view.reason == "workers w1, w2 agree: root 'set' is not there"
    assert (trial(fleet).state, trial(fleet).error_kind) == (TrialState.FAILED, Unfitness.DATA)
    assert {worker(fleet, name).state for name in ("w1", "w2")} == {"idle"}


def test_a_worker_that_may_have_the_data_is_waited_for(fleet: Fleet) -> None:
    """Two agree, but a third one that lives has not been asked yet."""
    assert fleet.ask("w3", study="other") is None
    fleet.give_back(fleet.take("w1"))
    fleet.give_back(fleet.take("w2"))
    assert study(fleet).state is StudyState.RUNNING
    assert fleet.take("w3").trial == 0


def test_a_worker_that_could_never_train_it_is_not_waited_for(clocked_database: Database) -> None:
    """One without what the study asks for says nothing of its data."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(resources={"labels": {"site": "a"}}))
    fleet.ask("elsewhere")
    for name in ("w1", "w2"):
        request = LeaseRequest(worker=name, capabilities=Capabilities(labels={"site": "a"}))
        held = assignments.take(fleet.db, request, lease_seconds=60, searches=fleet.searches)
        assert held is not None
        fleet.give_back(held)
    assert study(fleet).state is StudyState.FAILED


def test_a_study_that_was_trained_before_waits_for_its_data(fleet: Fleet, clock: Clock) -> None:
    """What two workers say now is no reason to end what had results."""
    fleet.train(fleet.take("w1"))
    fleet.give_back(fleet.take("w1"))
    fleet.give_back(fleet.take("w2"))
    view = study(fleet)
    assert (view.state, view.counts.failed, len(view.warnings)) == (StudyState.RUNNING, 0, 2)


def test_weights_that_nobody_has_end_their_trial_only(fleet: Fleet) -> None:
    """Other trials of the study were trained, so that it goes on without this one."""
    fleet.train(fleet.take("w1"))
    for name in ("w1", "w2"):
        fleet.give_back(fleet.take(name), Unfitness.WEIGHTS, "the hub does not answer")
    assert study(fleet).state is StudyState.RUNNING
    assert trial(fleet, 1).state is TrialState.FAILED
    assert trial(fleet, 1).reason == "workers w1, w2 agree: the hub does not answer"


@pytest.mark.parametrize("kind", [Unfitness.DATA, Unfitness.WEIGHTS, Unfitness.PACKAGE])
def test_other_studies_go_on(fleet: Fleet, kind: str) -> None:
    """Lacking what one study asks for is no reason not to train another."""
    fleet.submit(spec("roofs"))
    fleet.give_back(fleet.take("w1"), kind, "it is not here")
    assert fleet.take("w1").study == "roofs"


@pytest.mark.parametrize("kind", [Unfitness.MACHINE, Unfitness.DEVICE])
def test_a_broken_machine_is_offered_nothing(fleet: Fleet, clock: Clock, kind: str) -> None:
    """Its disk or device would end the trials of every study; after a pause it tries again."""
    fleet.submit(spec("roofs"))
    fleet.give_back(fleet.take("w1"), kind, "OSError: [Errno 28] No space left on device")
    assert fleet.ask("w1") is None
    assert worker(fleet, "w1").unfit_reason == "[Errno 28] No space left on device"
    clock.advance(5)
    fleet.train(fleet.take("w1"))
    assert worker(fleet, "w1").unfit_reason is None


def test_a_trial_that_one_machine_always_gives_back_ends(fleet: Fleet, clock: Clock) -> None:
    """Nothing is tried for ever: a reason that others do not share may be the trial's own."""
    for _ in range(TRIES):
        fleet.give_back(fleet.take("w1"), Unfitness.MACHINE, "no memory")
        clock.advance(601)
    assert trial(fleet).state is TrialState.FAILED
    assert trial(fleet).reason == f"worker w1 gave it back {TRIES} times: no memory"
    assert study(fleet).state is StudyState.RUNNING


def failed(fleet: Fleet, name: str) -> None:
    """Let a worker find the files of its trial broken."""
    held = fleet.take(name)
    outcome = Outcome(kind=OutcomeKind.FAILED, error="a.png: broken", error_kind="data")
    leases.finish(fleet.db, held.lease, held.token, outcome)


def test_a_broken_file_is_the_trials_fault(fleet: Fleet) -> None:
    """Nobody could train with it so far, so that it fails with the text."""
    failed(fleet, "w1")
    assert (trial(fleet).state, trial(fleet).error) == (TrialState.FAILED, "a.png: broken")


def test_a_file_that_is_broken_here_alone_is_the_workers_fault(fleet: Fleet) -> None:
    """Another worker has trained with the same data: this one's copy is broken."""
    fleet.train(fleet.take("good"))
    failed(fleet, "bad")
    assert trial(fleet, 1).state is TrialState.WAITING
    assert fleet.ask("bad") is None
    assert worker(fleet, "bad").unfit_reason == "streets: a.png: broken"


def test_a_file_that_broke_for_all_ends_the_trial(fleet: Fleet) -> None:
    """Where everybody says so, it is no longer one worker's copy."""
    fleet.train(fleet.take("w1"))
    failed(fleet, "w2")
    failed(fleet, "w1")
    assert trial(fleet, 1).state is TrialState.FAILED


def test_a_worker_that_says_it_is_unfit_gets_nothing(fleet: Fleet) -> None:
    """Its reason is shown until it asks for work as usual."""
    request = LeaseRequest(worker="w1", unfit="TrainingError: torch cannot use cuda:0")
    none = assignments.take(fleet.db, request, lease_seconds=60, searches=fleet.searches)
    shown = worker(fleet, "w1")
    assert (none, shown.state, shown.unfit_reason) == (None, "unfit", "torch cannot use cuda:0")
    assert fleet.take("w1").trial == 0
    assert worker(fleet, "w1").unfit_reason is None


def test_a_cancelled_study_gets_no_trial_back(fleet: Fleet) -> None:
    """What was given back after the end is cancelled with the rest."""
    held = fleet.take("w1")
    studies.change(fleet.db, "streets", StudyChange(state="cancelled"))
    fleet.give_back(held)
    assert trial(fleet).state is TrialState.CANCELLED
