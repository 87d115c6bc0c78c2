"""Optuna studies become finished studies, by the command that people run."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from typer.testing import CliRunner, Result

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.cli.app import app
from tuner.errors import InvalidInput, InvalidSpec
from tuner.search.optuna_import import ImportedTrial, imported_trials
from tuner.service import imports, overview, summaries
from tuner.service import studies as use_cases
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyChange
from tuner.store import reports, studies, trials
from tuner.store.engine import UNPOOLED, Database

optuna.logging.set_verbosity(optuna.logging.WARNING)
NAMES = {"lr": "optimizer.lr", "batch": "training.batch_size"}
EPOCHS = 3


def objective(trial: optuna.Trial) -> float:
    """Prunes every third trial after its second of three epochs, counted from 0."""
    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("batch", [4, 8])
    trial.suggest_categorical("augment.scale", ["[0.5, 2.0]", "[0.75, 1.5]"])
    trial.suggest_int("workers", 1, 4)
    for step in range(EPOCHS):
        trial.report(lr + step / 10, step)
        if step == 1 and trial.number % 3 == 2:
            raise optuna.TrialPruned
    return lr + 0.2


def source(storage: str | None = None, count: int = 6) -> optuna.Study:
    """An Optuna study with a failed trial at its end."""
    study = optuna.create_study(
        study_name="old",
        storage=storage and RDBStorage(storage, engine_kwargs=dict(UNPOOLED)),
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.optimize(objective, n_trials=count)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    return study


def ours(**changes: Any) -> StudySpec:
    """The study that the trials belong to."""
    space = {
        "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
        "training.batch_size": {"choice": [4, 8]},
        "augment.scale": {"choice": [[0.5, 2.0], [0.75, 1.5]]},
    }
    return spec("kept", space=space, epochs=EPOCHS, **changes)


@pytest.fixture
def optuna_url(tmp_path: Path) -> str:
    """A database of Optuna's with that study."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    source(url)
    return url


def run(tmp_path: Path, storage: str, url: str, *more: str) -> Result:
    """`segtune import optuna` with what the study needs."""
    file = tmp_path / "study.json"
    file.write_text(json.dumps(ours().dump()))
    words = ["--storage", storage, "--study", "old", "--url", url]
    maps = [f"--map={name}={path}" for name, path in NAMES.items()]
    return CliRunner().invoke(app, ["import", "optuna", str(file), *words, *maps, *more])


def test_the_command_imports_a_study(
    tmp_path: Path, optuna_url: str, clocked_database: Database
) -> None:
    """Six trials, each with its params, reports and state; what failed stays behind."""
    done = run(tmp_path, optuna_url, clocked_database.url, "--ignore", "workers")
    assert done.exit_code == 0, done.output
    assert "has 6 trials; 1 had not ended" in done.output
    with clocked_database.reading() as session:
        row = studies.find(session, "kept")
        view = summaries.study_view(session, row, now=clocked_database.now())
        found = trials.list_in(session, row, [TrialState.COMPLETED, TrialState.PRUNED])
        steps = reports.values_of(session, [trial.id for trial in found])
    assert view.state is StudyState.FINISHED
    assert view.reason == "imported from Optuna study 'old'"
    assert (view.counts.completed, view.counts.pruned) == (4, 2)
    assert view.base_value is None
    best = max((t for t in found if t.state == TrialState.COMPLETED), key=lambda t: t.value or 0)
    assert (view.best_trial, view.best_value) == (best.number, best.value)
    for trial in found:
        lr = trial.params["optimizer.lr"]
        last = EPOCHS if trial.state == TrialState.COMPLETED else 2
        assert steps[trial.id] == pytest.approx({k: lr + (k - 1) / 10 for k in range(1, last + 1)})
        assert trial.config["augment"]["scale"] in ([0.5, 2.0], [0.75, 1.5])
    shown = overview.trials(clocked_database, "kept").items
    assert {trial.source for trial in shown} == {TrialSource.IMPORT}


def test_a_journal_is_read_too(tmp_path: Path, clocked_database: Database) -> None:
    """A file instead of an address."""
    journal = tmp_path / "optuna.log"
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.create_study(
        study_name="old",
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
    )
    study.optimize(objective, n_trials=2)
    done = run(tmp_path, str(journal), clocked_database.url, "--ignore", "workers")
    assert "has 2 trials; 0 had not ended" in done.output


def test_a_param_without_a_path_is_named(
    tmp_path: Path, optuna_url: str, clocked_database: Database
) -> None:
    """Nothing is stored, and the message says what to do."""
    done = run(tmp_path, optuna_url, clocked_database.url)
    assert done.exit_code != 0
    assert "param 'workers' is not a config path" in done.output
    assert "--map or --ignore" in done.output


def test_what_is_not_there_is_said(tmp_path: Path, optuna_url: str, sqlite_url: str) -> None:
    """A missing file is not created, a foreign one not upgraded."""
    missing = tmp_path / "nothing.db"
    done = run(tmp_path, f"sqlite:///{missing}", sqlite_url)
    assert done.exit_code != 0
    assert f"no file {missing}" in done.output
    assert not missing.exists()
    file = tmp_path / "study.json"
    words = ["import", "optuna", str(file), "--storage", optuna_url, "--study", "other"]
    done = CliRunner().invoke(app, [*words, "--url", sqlite_url])
    assert "has no Optuna study 'other'" in done.output


def test_directions_must_agree() -> None:
    """A loss that was minimized is no miou; constraints cannot be known."""
    bounded = ours(constraints=[{"metric": "dice", "min": 0.5}])
    minimized = optuna.create_study(direction="minimize")
    with pytest.raises(InvalidSpec) as caught:
        imported_trials(minimized, bounded)
    first, second = caught.value.problems
    assert "the Optuna study has minimize, this one maximize" in first.message
    assert second.location == ("constraints",)


def test_values_that_are_no_numbers_stay_behind() -> None:
    """A trial that completed with infinity is not one of ours."""
    study = optuna.create_study(direction="maximize")
    for value in (0.5, float("inf")):
        study.add_trial(optuna.trial.create_trial(value=value))
    assert [one.values for one in imported_trials(study, ours())] == [(0.5,)]


def test_params_that_make_no_config_are_refused(clocked_database: Database) -> None:
    """The trial is named with its path, and nothing of the study is stored."""
    imported = [ImportedTrial({"optimizer.lr": -1.0}, TrialState.COMPLETED, (0.5,))]
    with pytest.raises(InvalidSpec) as caught:
        imports.bring_in(clocked_database, ours(), imported, origin="a test")
    assert caught.value.problems[0].location[:2] == ("trials", 0)
    with pytest.raises(InvalidInput, match="no completed or pruned trial"):
        imports.bring_in(clocked_database, ours(), [], origin="a test")


def test_an_imported_study_goes_on_and_teaches(clocked_database: Database) -> None:
    """A larger budget draws what is new, and another study starts from its best."""
    imported = imported_trials(source(), ours(), paths=NAMES, ignored={"workers"})
    imports.bring_in(clocked_database, ours(), imported, origin="a test")
    search = {"sampler": "random", "trials": 4, "warm_start": ["kept"]}
    fleet = Fleet(clocked_database)
    fleet.submit(spec("next", space=ours().space.model_dump(mode="json"), search=search))
    taught = [fleet.take(study="next").config.optimizer.lr for _ in range(2)][1]
    whole = [one for one in imported if one.state is TrialState.COMPLETED]
    assert taught == max(whole, key=lambda one: one.values).params["optimizer.lr"]
    view = use_cases.change(clocked_database, "kept", StudyChange(trials=7))
    assert view.state is StudyState.RUNNING
    assert fleet.take(study="kept").trial == 6
