"""Studies whose rungs are trainings of their own."""

from collections.abc import Mapping

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import overview
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.store import artifacts, studies, trials
from tuner.store.artifacts import Stored, Upload
from tuner.store.engine import Database

EPOCHS = 8
VALUES: Mapping[int, float] = {0: 0.5, 1: 0.4, 2: 0.9, 3: 0.2, 4: 0.3}


def staged_study(**search: object) -> StudySpec:
    """Rungs at 2 and 4 of 8 epochs."""
    promote = {"name": "promote", "eta": 2, "min_step": 2}
    settings = {"fidelity": "data", "sampler": "random", "pruner": promote, "trials": 5}
    return spec(epochs=EPOCHS, search={**settings, **search})


def train(fleet: Fleet, held: Assignment) -> None:
    """Report the steps of one training, and obey; fewer images have a fingerprint of their own."""
    end, images = held.steps or EPOCHS, f"{held.config.dataset.subset:g} of the images"
    for step in range(held.last_step + 1, end + 1):
        verdict = fleet.report(held, step, value=VALUES[held.trial], data=images).verdict
        if verdict.action is Action.PAUSE:
            assert step == end
            fleet.finish(held, OutcomeKind.PAUSED)
            return
        assert verdict.action is Action.CONTINUE
    fleet.finish(held)


def run(fleet: Fleet, document: StudySpec) -> list[Assignment]:
    """One worker trains the whole study; gives what it was handed."""
    fleet.submit(document)
    seen = []
    while (held := fleet.ask()) is not None:
        seen.append(held)
        train(fleet, held)
    return seen


def test_a_trial_is_trained_anew_on_more_at_each_rung(database: Database) -> None:
    """Its config stays whole; what its worker gets is the rung's."""
    fleet = Fleet(database)
    seen = run(fleet, staged_study())
    assert overview.study(database, "streets").state is StudyState.FINISHED
    best = [held for held in seen if held.trial == 2]
    assert [held.steps for held in best] == [2, 4, 8]
    assert [held.config.dataset.subset for held in best] == [0.25, 0.5, 1.0]
    assert [held.resume for held in best] == [None] * 3
    assert [held.last_step for held in best] == [0, 2, 4]
    view = overview.trial(database, "streets", 2)
    assert view.state is TrialState.COMPLETED
    assert view.config.dataset.subset == 1.0
    assert view.data_version == "1 of the images"
    assert not overview.study(database, "streets").warnings


def test_the_base_recipe_is_trained_once_and_fully(database: Database) -> None:
    """At a rung nobody is held against it."""
    fleet = Fleet(database)
    seen = run(fleet, staged_study())
    assert [held.steps for held in seen if held.trial == 0] == [EPOCHS]
    weak = overview.trial(database, "streets", 3)
    assert "of 4 trials" in weak.reason or "of 3 trials" in weak.reason


def test_a_checkpoint_is_taken_up_within_a_rung_only(database: Database) -> None:
    """The one of the rung before belongs to another config, and goes."""
    fleet = Fleet(database)
    fleet.submit(staged_study(trials=2))
    fleet.take("base")
    held = fleet.take()
    fleet.report(held, 1)
    _save(fleet, held, "a")
    fleet.finish(held, OutcomeKind.YIELDED)
    held = fleet.take()
    assert held.resume is not None
    fleet.report(held, 2)
    fleet.finish(held, OutcomeKind.PAUSED)
    held = fleet.take()
    assert (held.last_step, held.steps, held.resume) == (2, 4, None)
    fleet.report(held, 3)
    fleet.finish(held, OutcomeKind.YIELDED)
    assert fleet.take().resume is None


def test_the_base_recipe_keeps_its_checkpoint_at_a_rung(database: Database) -> None:
    """To it a rung is an epoch like any other."""
    fleet = Fleet(database)
    fleet.submit(staged_study(trials=2))
    held = fleet.take()
    fleet.report(held, 1, 2)
    _save(fleet, held, "b")
    fleet.finish(held, OutcomeKind.CRASHED)
    again = fleet.take()
    assert (again.trial, again.last_step, again.steps) == (0, 2, EPOCHS)
    assert again.resume is not None


def test_confirmation_trains_fully(database: Database) -> None:
    """Fresh seeds at full fidelity only."""
    fleet = Fleet(database)
    seen = run(fleet, staged_study(confirm={"top": 1, "seeds": 1}, trials=3))
    assert seen[-1].trial == 3
    assert (seen[-1].steps, seen[-1].config.dataset.subset) == (EPOCHS, 1.0)


def _save(fleet: Fleet, held: Assignment, name: str) -> None:
    with fleet.db.transaction() as session:
        study = studies.find(session, held.study)
        trial = trials.find(session, study, held.trial)
        upload = Upload("checkpoint.pt", "checkpoint", 1, Stored(name * 64, 3))
        artifacts.add(session, trial, upload, now=fleet.db.now())
