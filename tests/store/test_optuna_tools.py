"""Optuna's own tools work on our store: plots, importances, data frames, copies, the dashboard."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import plotly.graph_objects as go
import pytest
from optuna import visualization

from tests.store.samples import spec
from tests.store.test_optuna_storage import COURSES, fill
from tuner.spec.study import StudySpec
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage

PLOTS: list[Callable[..., go.Figure]] = [
    visualization.plot_contour,
    visualization.plot_edf,
    visualization.plot_intermediate_values,
    visualization.plot_optimization_history,
    visualization.plot_parallel_coordinate,
    visualization.plot_param_importances,
    visualization.plot_rank,
    visualization.plot_slice,
    visualization.plot_timeline,
]


@contextmanager
def opened(url: str, document: StudySpec) -> Iterator[OptunaStorage]:
    """A storage over a database that is filled with a study."""
    db = Database(url)
    storage = OptunaStorage(url)
    try:
        fill(db, document)
        yield storage
    finally:
        storage.remove_session()
        db.dispose()


@pytest.fixture
def storage(sqlite_url: str) -> Iterator[OptunaStorage]:
    """A storage over a filled study; which database it is makes no difference to the tools."""
    with opened(sqlite_url, spec()) as storage:
        yield storage


@pytest.fixture
def study(storage: OptunaStorage) -> optuna.Study:
    """The filled study, as Optuna opens it."""
    return optuna.load_study(study_name="streets", storage=storage)


@pytest.mark.filterwarnings("ignore:Contour plot will not be displayed")  # of two alternatives
@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.__name__)
def test_plot_shows_the_study(plot: Callable[..., go.Figure], study: optuna.Study) -> None:
    """Each plot of one objective draws something."""
    figure = plot(study)
    assert figure.data


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_pareto_front_of_two_objectives(sqlite_url: str) -> None:
    """The Pareto plot draws a study of two objectives."""
    objectives = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    with opened(sqlite_url, spec(objectives=objectives)) as storage:
        study = optuna.load_study(study_name="streets", storage=storage)
        assert visualization.plot_pareto_front(study).data
        assert visualization.plot_hypervolume_history(study, [0.0, 1.0]).data


def test_importances_name_our_params(study: optuna.Study) -> None:
    """Importances are given by Optuna's names of our paths."""
    found = optuna.importance.get_param_importances(study, params=["augment.rotate"])
    assert set(found) == {"augment.rotate"}


def test_a_study_can_be_copied(storage: OptunaStorage, study: optuna.Study) -> None:
    """`optuna.copy_study` gives Optuna a copy that it may change."""
    copy = optuna.storages.InMemoryStorage()
    optuna.copy_study(from_study_name="streets", from_storage=storage, to_storage=copy)
    copied = optuna.load_study(study_name="streets", storage=copy)
    assert [trial.values for trial in copied.trials] == [trial.values for trial in study.trials]
    copied.enqueue_trial({"augment.rotate": 3})
    assert len(copied.trials) == len(COURSES) + 1


class Dashboard:
    """Optuna's dashboard in this process, without a socket."""

    def __init__(self, storage: OptunaStorage) -> None:
        self._app: Any = optuna_dashboard.wsgi(storage)

    def get(self, path: str) -> tuple[str, bytes]:
        """Status and body of a GET request."""
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query}
        setup_testing_defaults(environ)
        status: list[str] = []

        def start_response(line: str, *_: object) -> None:
            status.append(line)

        body: Iterable[bytes] = self._app(environ, start_response)
        return status[0], b"".join(body)


def test_dashboard_lists_studies(storage: OptunaStorage) -> None:
    """The dashboard's list of studies has ours."""
    status, body = Dashboard(storage).get("/api/studies")
    listed = json.loads(body)["study_summaries"]
    assert status.startswith("200")
    assert [one["study_name"] for one in listed] == ["streets"]


def test_dashboard_shows_a_study(storage: OptunaStorage) -> None:
    """The dashboard's study page gets every trial, as JSON that browsers can read."""
    study_id = storage.get_study_id_from_name("streets")
    status, body = Dashboard(storage).get(f"/api/studies/{study_id}?after=0")
    shown = json.loads(body, parse_constant=pytest.fail)
    assert status.startswith("200")
    assert [trial["number"] for trial in shown["trials"]] == list(range(len(COURSES)))
    assert shown["trials"][1]["values"] == [0.6]


def test_dashboard_gives_importances_and_csv(storage: OptunaStorage) -> None:
    """The dashboard's importances and its CSV export work."""
    study_id = storage.get_study_id_from_name("streets")
    dashboard = Dashboard(storage)
    status, _ = dashboard.get(f"/api/studies/{study_id}/param_importances")
    assert status.startswith("200")
    status, body = dashboard.get(f"/csv/{study_id}")
    assert status.startswith("200")
    assert len(body.splitlines()) == len(COURSES) + 1
