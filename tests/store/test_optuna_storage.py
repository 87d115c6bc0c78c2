"""Optuna reads our store as it would read its own."""

import inspect
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState as OptunaState

from tests.store.samples import NOW, spec, study_row, trial_row
from tuner.errors import ReadOnly
from tuner.optuna_encoding import encode
from tuner.spec.study import StudySpec
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage
from tuner.store.tables import Attempt, Report, Study, Trial, Worker

# Naming the objectives is what Optuna calls experimental.
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SGD = {
    "optimizer.name": "sgd",
    "optimizer.lr": 0.02,
    "optimizer.weight_decay": 1e-4,
    "training.batch_size": 8,
    "augment.rotate": 7,
}
ADAMW = {**SGD, "optimizer.name": "adamw", "optimizer.lr": 2e-4, "augment.rotate": 12}
# State, params, mIoU by step.
COURSES: list[tuple[str, dict[str, Any], list[float]]] = [
    ("completed", SGD, [0.1, 0.3, 0.5]),
    ("completed", ADAMW, [0.2, 0.4, 0.6]),
    ("pruned", ADAMW, [0.05]),
    ("failed", SGD, []),
    ("cancelled", SGD, [0.1]),
    ("running", ADAMW, [0.1, 0.2]),
    ("paused", SGD, [0.2]),
    ("waiting", ADAMW, []),
    ("completed", {**SGD, "optimizer.lr": 0.09}, [0.2, 0.3, 0.4]),
    ("completed", {**ADAMW, "optimizer.lr": 1e-3}, [0.2, 0.3, 0.5]),
]
OPTUNA_STATES = {
    "completed": OptunaState.COMPLETE,
    "pruned": OptunaState.PRUNED,
    "failed": OptunaState.FAIL,
    "cancelled": OptunaState.FAIL,
    "running": OptunaState.RUNNING,
    "paused": OptunaState.WAITING,
    "waiting": OptunaState.WAITING,
}


def fill(db: Database, document: StudySpec) -> int:
    """Write a study with one trial per course; give the study's id."""
    with db.transaction() as session:
        study = study_row(document, trial_count=len(COURSES))
        worker = Worker(
            name="gpu-1", capabilities={}, trials_done=0, first_seen_at=NOW, last_seen_at=NOW
        )
        session.add_all([study, worker])
        session.flush()
        for number, (state, params, values) in enumerate(COURSES):
            trial = trial_row(
                study, number, params=params, state=state, step=len(values), revision=number + 1
            )
            if values:
                trial.metrics = {"miou": values[-1], "train_loss": 1 - values[-1]}
                trial.started_at = NOW
            if state in {"completed", "pruned", "failed", "cancelled"}:
                trial.finished_at = NOW + timedelta(minutes=number)
            session.add(trial)
            session.flush()
            for step, value in enumerate(values, start=1):
                session.add(report_row(trial, step, value))
            if values:
                session.add(attempt_row(trial, worker))
        return study.id


def report_row(trial: Trial, step: int, value: float) -> Report:
    """One step of a trial."""
    return Report(
        trial_id=trial.id,
        step=step,
        study_id=trial.study_id,
        attempt=1,
        value=value,
        metrics={"miou": value},
        seconds=1.0,
        created_at=NOW,
    )


def attempt_row(trial: Trial, worker: Worker) -> Attempt:
    """An ended lease."""
    return Attempt(
        id=f"{trial.id:032d}",
        trial_id=trial.id,
        number=1,
        worker_id=worker.id,
        token_hash="",
        started_at=NOW,
        expires_at=NOW,
        ended_at=NOW,
        outcome="completed",
    )


def optuna_twin(document: StudySpec) -> tuple[BaseStorage, int]:
    """The same study, written into Optuna's own storage by Optuna's own means."""
    storage = InMemoryStorage()
    study = optuna.create_study(
        study_name=document.name,
        storage=storage,
        directions=[objective.direction for objective in document.objectives],
    )
    study.set_metric_names([objective.metric for objective in document.objectives])
    for state, params, values in COURSES:
        known, distributions = encode(document.space, params)
        trial = optuna.create_trial(
            state=OPTUNA_STATES[state],
            values=[values[-1]] if state in {"completed", "pruned"} else None,
            params=known,
            distributions=distributions,
            intermediate_values=dict(enumerate(values, start=1)),
        )
        storage.create_new_trial(study._study_id, template_trial=trial)
    return storage, study._study_id


@pytest.fixture
def empty(database_url: str) -> Iterator[OptunaStorage]:
    """A storage over a database without a study."""
    storage = OptunaStorage(database_url)
    yield storage
    storage.remove_session()


@pytest.fixture
def storage(empty: OptunaStorage, database: Database) -> OptunaStorage:
    """A storage over a filled study of one objective."""
    fill(database, spec())
    return empty


@pytest.fixture
def study(storage: OptunaStorage) -> optuna.Study:
    """The filled study, as Optuna opens it."""
    return optuna.load_study(study_name="streets", storage=storage)


def test_trials_equal_those_of_an_optuna_study(storage: OptunaStorage) -> None:
    """State, values, params, distributions and steps equal those that Optuna wrote itself."""
    twin, twin_id = optuna_twin(spec())
    study_id = storage.get_study_id_from_name("streets")
    theirs = twin.get_all_trials(twin_id)
    ours = storage.get_all_trials(study_id)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        our._validate()
        for part in ("number", "state", "values", "params", "distributions"):
            assert getattr(our, part) == getattr(their, part)
        assert our.intermediate_values == their.intermediate_values
        assert our.last_step == their.last_step
        assert (our.datetime_complete is None) == (their.datetime_complete is None)


def test_questions_about_a_study_get_the_answers_of_optuna(storage: OptunaStorage) -> None:
    """Name, directions, counts by state and best trial equal those of Optuna's own storage."""
    twin, twin_id = optuna_twin(spec())
    study_id = storage.get_study_id_from_name("streets")
    assert storage.get_study_name_from_id(study_id) == twin.get_study_name_from_id(twin_id)
    assert storage.get_study_directions(study_id) == twin.get_study_directions(twin_id)
    assert storage.get_study_system_attrs(study_id) == twin.get_study_system_attrs(twin_id)
    assert storage.get_best_trial(study_id).number == twin.get_best_trial(twin_id).number
    for state in (None, *OptunaState):
        assert storage.get_n_trials(study_id, state) == twin.get_n_trials(twin_id, state)


def test_questions_about_a_trial_get_the_answers_of_optuna(storage: OptunaStorage) -> None:
    """Number, params and inner representation of params equal those of Optuna's own storage."""
    twin, twin_id = optuna_twin(spec())
    study_id = storage.get_study_id_from_name("streets")
    for number, (_, params, _) in enumerate(COURSES):
        ours = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        theirs = twin.get_trial_id_from_study_id_trial_number(twin_id, number)
        assert storage.get_trial_number_from_id(ours) == number
        assert storage.get_trial_params(ours) == twin.get_trial_params(theirs)
        for name in encode(spec().space, params)[0]:
            assert storage.get_trial_param(ours, name) == twin.get_trial_param(theirs, name)


def test_what_does_not_exist_is_a_key_error(storage: OptunaStorage) -> None:
    """Unknown names and ids raise KeyError, as Optuna's contract says."""
    study_id = storage.get_study_id_from_name("streets")
    questions: list[Callable[[], object]] = [
        lambda: storage.get_study_id_from_name("roads"),
        lambda: storage.get_study_name_from_id(study_id + 1),
        lambda: storage.get_study_directions(study_id + 1),
        lambda: storage.get_study_user_attrs(study_id + 1),
        lambda: storage.get_study_system_attrs(study_id + 1),
        lambda: storage.get_all_trials(study_id + 1),
        lambda: storage.get_trial(10**9),
        lambda: storage.get_trial_id_from_study_id_trial_number(study_id, len(COURSES)),
    ]
    for question in questions:
        with pytest.raises(KeyError):
            question()


def test_every_write_is_refused(storage: OptunaStorage) -> None:
    """Each of the ten abstract methods that write raises ReadOnly and names the way to go."""
    writes = [
        name
        for name in sorted(BaseStorage.__abstractmethods__)
        if name.startswith(("create_", "delete_", "set_"))
    ]
    assert len(writes) == 10
    for name in writes:
        method = getattr(storage, name)
        names = list(inspect.signature(getattr(BaseStorage, name)).parameters)[1:]
        arguments: list[Any] = [[] if name == "directions" else 1 for name in names]
        if name == "create_new_study":
            arguments[1] = "a-new-one"
        with pytest.raises(ReadOnly, match="server's API"):
            method(*arguments)


def test_load_if_exists_opens_a_study(storage: OptunaStorage) -> None:
    """`create_study(load_if_exists=True)` opens a study that exists; a new one is refused."""
    study = optuna.create_study(study_name="streets", storage=storage, load_if_exists=True)
    assert len(study.trials) == len(COURSES)
    with pytest.raises(ReadOnly):
        optuna.create_study(study_name="roads", storage=storage, load_if_exists=True)


def test_all_studies_are_listed(storage: OptunaStorage) -> None:
    """Optuna's summaries show name, direction, best trial and number of trials."""
    summaries = optuna.get_all_study_summaries(storage)
    assert [(s.study_name, s.n_trials) for s in summaries] == [("streets", len(COURSES))]
    assert summaries[0].best_trial is not None
    assert summaries[0].best_trial.value == 0.6


def test_what_optuna_has_no_word_for_is_a_user_attribute(study: optuna.Study) -> None:
    """Our own state, the worker and the metrics of the last step can be read and plotted."""
    attrs = study.trials[1].user_attrs
    assert (attrs["state"], attrs["worker"], attrs["train_loss"]) == ("completed", "gpu-1", 0.4)
    assert study.trials[6].user_attrs["state"] == "paused"
    assert study.user_attrs["state"] == "running"


def test_a_trial_given_out_never_changes(storage: OptunaStorage, database: Database) -> None:
    """A later report reaches the next reader, not the object that was given out before."""
    study_id = storage.get_study_id_from_name("streets")
    before = storage.get_all_trials(study_id, deepcopy=False)[5]
    with database.transaction() as session:
        trial = session.get_one(Trial, before._trial_id)
        trial.step = 3
        trial.revision += 1
        session.add(report_row(trial, 3, 0.3))
    after = storage.get_all_trials(study_id, deepcopy=False)[5]
    assert before.intermediate_values == {1: 0.1, 2: 0.2}
    assert after.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}
    assert storage.get_trial(before._trial_id) == after


def test_what_did_not_change_is_not_read_again(storage: OptunaStorage) -> None:
    """Ended trials are the same objects the second time, unless a copy is asked for."""
    study_id = storage.get_study_id_from_name("streets")
    first = storage.get_all_trials(study_id, deepcopy=False)
    second = storage.get_all_trials(study_id, deepcopy=False)
    copies = storage.get_all_trials(study_id)
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert all(one is not other for one, other in zip(first, copies, strict=True))
    assert copies == first


def test_storage_can_be_pickled(storage: OptunaStorage) -> None:
    """Another process opens the same studies."""
    again = pickle.loads(pickle.dumps(storage))
    study_id = again.get_study_id_from_name("streets")
    assert again.get_all_trials(study_id) == storage.get_all_trials(study_id)
    again.remove_session()


def test_threads_share_a_storage(storage: OptunaStorage) -> None:
    """Eight threads that read at once all see the same trials."""
    study_id = storage.get_study_id_from_name("streets")
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(storage.get_all_trials, [study_id] * 16))
    assert all(trials == seen[0] for trials in seen)


def test_several_objectives_and_constraints_reach_optuna(
    empty: OptunaStorage, database: Database
) -> None:
    """Directions, values and violations make Optuna's Pareto front leave out the infeasible."""
    document = spec(
        "two",
        objectives=[
            {"metric": "miou", "direction": "maximize"},
            {"metric": "train_loss", "direction": "minimize"},
        ],
        constraints=[{"metric": "miou", "max": 0.55}],
    )
    fill(database, document)
    study = optuna.load_study(study_name="two", storage=empty)
    assert study.metric_names == ["miou", "train_loss"]
    assert study.trials[1].values == [0.6, pytest.approx(0.4)]
    assert study.trials[1].constraints == {"miou": pytest.approx(0.05)}
    assert [trial.number for trial in study.best_trials] == [0, 9]
    assert study.trials[3].constraints == {}


def test_a_completed_trial_without_its_objective_counts_as_failed(
    empty: OptunaStorage, database: Database
) -> None:
    """Optuna has no complete trial without values; ours says so in its user attributes."""
    with database.transaction() as session:
        study = study_row()
        session.add(study)
        session.flush()
        session.add(trial_row(study, state="completed", metrics={}, finished_at=NOW))
    trial = optuna.load_study(study_name="streets", storage=empty).trials[0]
    assert (trial.state, trial.user_attrs["state"]) == (OptunaState.FAIL, "completed")


def test_a_deleted_study_is_gone(storage: OptunaStorage, database: Database) -> None:
    """What was read before a study was deleted is not shown any more."""
    study_id = storage.get_study_id_from_name("streets")
    storage.get_all_trials(study_id)
    with database.transaction() as session:
        session.delete(session.get_one(Study, study_id))
    with pytest.raises(KeyError):
        storage.get_all_trials(study_id)
    assert storage.get_all_studies() == []
