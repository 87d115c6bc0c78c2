"""Optuna's own tools work on our store: every plot, importances, copies."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import optuna.visualization
import plotly.graph_objects as go
import pytest

from tests.store.samples import spec
from tests.store.test_optuna_storage import COURSES, fill, optuna_twin
from tuner.spec.study import StudySpec
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    # Alternatives of a path exclude each other, and a loss is not an objective to be high.
    pytest.mark.filterwarnings("ignore:Contour plot will not be displayed"),
    pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator computes"),
]
Plot = Callable[..., go.Figure]
ALL_PLOTS = {
    name: getattr(optuna.visualization, name)
    for name in optuna.visualization.__all__
    if name.startswith("plot_")
}
OF_SEVERAL = ("plot_hypervolume_history", "plot_pareto_front")  # objectives
OF_ONE = ("plot_intermediate_values", "plot_terminator_improvement")
OF_ANY = sorted({*ALL_PLOTS} - {*OF_SEVERAL, *OF_ONE, "plot_timeline"})
# Times differ between two studies, and fANOVA and the terminator draw at random.
DETERMINED = sorted({*OF_ANY, "plot_intermediate_values"} - {"plot_param_importances"})
TWO: dict[str, Any] = {
    "objectives": [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}],
    "constraints": [{"metric": "miou", "max": 0.55}],
}


@pytest.fixture
def opened(database_url: str, database: Database) -> Iterator[Callable[[StudySpec], optuna.Study]]:
    """Fills the database with a study and opens it as Optuna does."""
    storage = OptunaStorage(database_url)

    def open_(document: StudySpec) -> optuna.Study:
        fill(database, document)
        return optuna.load_study(study_name=document.name, storage=storage)

    yield open_
    storage.remove_session()


@pytest.fixture
def study(opened: Callable[[StudySpec], optuna.Study]) -> optuna.Study:
    """A study of one objective with conditions, and trials in every state."""
    return opened(spec())


@pytest.fixture
def two(opened: Callable[[StudySpec], optuna.Study]) -> optuna.Study:
    """The same trials under two objectives and a bound that one of them breaks."""
    return opened(spec(**TWO))


@pytest.mark.parametrize("name", sorted({*ALL_PLOTS} - {*DETERMINED, *OF_SEVERAL}))
def test_plot_shows_a_study(name: str, study: optuna.Study) -> None:
    """Each plot of one objective that is not the same twice draws something."""
    assert ALL_PLOTS[name](study).data


@pytest.mark.parametrize("name", DETERMINED)
def test_plot_is_that_of_an_optuna_study(name: str, study: optuna.Study) -> None:
    """Trace by trace it is the figure of the same study in Optuna's own storage."""
    storage, _ = optuna_twin(spec())
    theirs = optuna.load_study(study_name=study.study_name, storage=storage)
    figure = ALL_PLOTS[name](study)

    assert figure.data
    assert figure.to_plotly_json() == ALL_PLOTS[name](theirs).to_plotly_json()


@pytest.mark.parametrize("name", OF_ANY)
def test_plot_shows_the_second_objective(name: str, two: optuna.Study) -> None:
    """Each plot that takes a target draws any objective of several, constraints or not."""
    figure = ALL_PLOTS[name](two, target=lambda trial: trial.values[1], target_name="loss")
    assert figure.data


def test_pareto_front_shades_what_breaks_a_bound(two: optuna.Study) -> None:
    """Feasible and infeasible trials are drawn apart, the front among the former."""
    traces = ALL_PLOTS["plot_pareto_front"](two).data
    drawn = {re.findall("<extra>(.*)</extra>", one.hovertemplate)[0]: len(one.x) for one in traces}

    assert drawn == {"Infeasible Trial": 1, "Feasible Trial": 1, "Best Trial": 2}  # which tie


def test_hypervolume_and_timeline_of_several_objectives(two: optuna.Study) -> None:
    """The volume grows with the feasible front, and the timeline has every trial that began."""
    (volume,) = ALL_PLOTS["plot_hypervolume_history"](two, [0.0, 1.0]).data
    timeline = ALL_PLOTS["plot_timeline"](two)

    assert list(volume.y) == sorted(volume.y)
    assert volume.y[-1] > 0
    assert timeline.data


def test_importances_name_our_params(study: optuna.Study) -> None:
    """Importances are given by Optuna's names of our paths."""
    found = optuna.importance.get_param_importances(study, params=["augment.rotate"])
    assert set(found) == {"augment.rotate"}


def test_a_study_can_be_copied(study: optuna.Study) -> None:
    """`optuna.copy_study` gives Optuna a copy that it may change."""
    copy = optuna.storages.InMemoryStorage()
    optuna.copy_study(
        from_study_name=study.study_name, from_storage=study._storage, to_storage=copy
    )
    copied = optuna.load_study(study_name=study.study_name, storage=copy)
    assert [trial.values for trial in copied.trials] == [trial.values for trial in study.trials]
    copied.enqueue_trial({"augment.rotate": 3})
    assert len(copied.trials) == len(COURSES) + 1
