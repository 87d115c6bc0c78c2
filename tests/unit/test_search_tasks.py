"""Tasks of the search benchmark ask their surrogates what they mean to ask."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.search import rbv2
from benchmarks.search.__main__ import seeds_in
from benchmarks.search.groups import GROUPS, find, names
from benchmarks.search.methods import our_study
from benchmarks.search.task import Task, params_at
from tuner.configs.checks import check
from tuner.configs.resolve import resolve
from tuner.spec.space import Params

# In the order in which the surrogate was trained.
NUMBERS = (
    *("nrounds", "eta", "gamma", "lambda", "alpha", "subsample", "max_depth"),
    *("min_child_weight", "colsample_bytree", "colsample_bylevel", "rate_drop", "skip_drop"),
    *("trainsize", "repl"),
)
TREES = {"eta", "gamma", "max_depth", "min_child_weight", "colsample_bytree", "colsample_bylevel"}
ENCODING = {
    "booster": {"#na#": 0, "dart": 1, "gblinear": 2, "gbtree": 3},
    "num.impute.selected.cpo": {
        "#na#": 0,
        "impute.hist": 1,
        "impute.mean": 2,
        "impute.median": 3,
    },
    "task_id": {"#na#": 0, "16": 37, "3": 50},
}
ALWAYS: Params = {
    "schedule.warmup_kind": "constant",
    "training.micro_batch": 100,
    "training.clip_norm": 2.0,
    "training.clip_value": 3.0,
    "augment.flip": 0.5,
}
OF_TREES: Params = {
    "optimizer.lr": 0.25,
    "model.encoder_lr": 4.0,
    "model.layers": 6,
    "training.clip_weights": 8.0,
    "augment.vflip": 0.75,
    "augment.grayscale": 0.125,
}


class _Surrogate:
    """Keeps what it was asked; accuracy is the share of rows, a training takes ever less time."""

    def __init__(self) -> None:
        self.asked: dict[str, NDArray[Any]] = {}

    def __call__(self, model: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        self.asked = dict(inputs)
        found = np.zeros((len(inputs["x_cat"]), 9), dtype=np.float32)
        found[:, 0] = inputs["x_cont"][:, 12]
        found[:, 6] = 2 - inputs["x_cont"][:, 12]
        return found

    def numbers(self, row: int) -> dict[str, float]:
        """One row's numbers by name."""
        return dict(zip(NUMBERS, map(float, self.asked["x_cont"][row]), strict=True))


@pytest.fixture
def surrogate(monkeypatch: pytest.MonkeyPatch) -> _Surrogate:
    """In place of the network."""
    found = _Surrogate()
    monkeypatch.setattr(rbv2, "predict", found)
    return found


@pytest.fixture
def boosting(tmp_path: Path) -> Task:
    """The first task of two."""
    (tmp_path / "encoding.json").write_text(json.dumps(ENCODING))
    return rbv2.tasks(tmp_path, ("16", "3"))["16"]


@pytest.fixture(scope="module")
def curves() -> Path:
    """The folder of learning curves that the environment names."""
    pytest.importorskip("onnxruntime")
    folder = os.environ.get("SEGTUNE_TEST_CURVES")
    if folder is None or not (Path(folder) / "rbv2_xgboost").is_dir():
        pytest.skip("SEGTUNE_TEST_CURVES names no folder with rbv2_xgboost/model.onnx")
    return Path(folder)


def test_boosted_trees_ask_for_every_step_with_their_numbers_in_order(
    boosting: Task, surrogate: _Surrogate
) -> None:
    """Each step is a row: raw values, an equal share of trainsize, and the categories' places."""
    boosting.curves([{"optimizer.name": "adam", **ALWAYS, **OF_TREES}])

    assert [[37, 3, 1]] * 27 == surrogate.asked["x_cat"].tolist()
    assert {
        "nrounds": 100,
        "lambda": 2,
        "alpha": 3,
        "subsample": 0.5,
        "eta": 0.25,
        "gamma": 4,
        "max_depth": 6,
        "min_child_weight": 8,
        "colsample_bytree": 0.75,
        "colsample_bylevel": 0.125,
        "rate_drop": 0,
        "skip_drop": 0,
        "trainsize": pytest.approx(1 / 27),
        "repl": 10,
    } == surrogate.numbers(0)
    assert 1 == surrogate.numbers(26)["trainsize"]


def test_linear_boosting_has_zeros_for_what_trees_have(
    boosting: Task, surrogate: _Surrogate
) -> None:
    """What is not active is 0, and so the surrogate was trained."""
    boosting.curves([{"optimizer.name": "sgd", **ALWAYS}])

    numbers = surrogate.numbers(0)
    assert [37, 2, 1] == surrogate.asked["x_cat"][0].tolist()
    assert {"rate_drop", "skip_drop", *TREES} == {name for name in numbers if numbers[name] == 0}


def test_dropped_trees_have_all_numbers(boosting: Task, surrogate: _Surrogate) -> None:
    """Two params belong to the third booster alone."""
    dropped = {"model.aux_weight": 0.5, "schedule.warmup_start": 0.25}
    boosting.curves([{"optimizer.name": "adamw", **ALWAYS, **OF_TREES, **dropped}])

    assert [37, 1, 1] == surrogate.asked["x_cat"][0].tolist()
    assert 0.5 == surrogate.numbers(0)["rate_drop"]
    assert 0.25 == surrogate.numbers(0)["skip_drop"]


def test_a_step_never_gives_time_back(boosting: Task, surrogate: _Surrogate) -> None:
    """Predicted times that fall count as no time; accuracies are those of the share of rows."""
    (curve,) = boosting.curves([{"optimizer.name": "sgd", **ALWAYS}])

    assert curve.seconds == (pytest.approx(2 - 1 / 27), *(0,) * 26)
    assert [step / 27 for step in range(1, 28)] == pytest.approx(curve.values)


def test_params_of_the_space_make_valid_studies_and_configs(boosting: Task) -> None:
    """The space passes the checks of a submission, and so does every draw from it."""
    study = our_study("random+none", boosting, 0)
    check(study)

    for point in np.random.default_rng(0).random((20, len(boosting.space))):
        params = params_at(study, point)
        resolve(study.base, study.dataset, params)
        assert {"sgd": 6, "adam": 12, "adamw": 14}[params["optimizer.name"]] == len(params)


def test_the_ranges_are_those_that_were_recorded(curves: Path) -> None:
    """Kinds, bounds, scales and conditions are those of the surrogate's own description."""
    recorded = json.loads((curves / "rbv2_xgboost" / "config_space.json").read_text())
    parents: dict[str, list[str]] = {}
    for one in recorded["conditions"]:
        parents[one["child"]] = sorted(one.get("values", [one.get("value")]))
    known = {one["name"]: one for one in recorded["hyperparameters"]}

    for path, name in rbv2.PATHS.items():
        wanted = known[name]
        (dimension,) = rbv2.tasks(curves / "rbv2_xgboost", ("16",))["16"].study({}).space.root[path]
        boosters = [rbv2.BOOSTERS[str(value)] for value in dimension.when.get(rbv2.BOOSTER, ())]
        assert parents.get(name, []) == sorted(boosters)
        assert [wanted["lower"], wanted["upper"]] == rbv2.SPACE[path][wanted["type"][8:]]
        assert wanted["log"] == rbv2.SPACE[path].get("log", False)
    assert set(known["booster"]["choices"]) == set(rbv2.BOOSTERS.values())
    assert set(known["num.impute.selected.cpo"]["choices"]) == set(rbv2.IMPUTATIONS.values())
    assert {*rbv2.DEV, *rbv2.REPORT} <= set(known["task_id"]["choices"])


def test_accuracy_rises_with_the_share_of_rows(curves: Path) -> None:
    """On average over random trainings more rows are better, and the last step is the best."""
    task = find("rbv2-dev", "16", curves)
    points = np.random.default_rng(0).random((50, len(task.space)))

    found = task.curves([params_at(task.study({}), point) for point in points])

    means = np.mean([curve.values for curve in found], axis=0)
    assert means[0] < means[2] < means[8] < means[26] < 1
    assert all(sum(curve.seconds) > 0 for curve in found)


def test_no_task_to_report_on_is_tuned_on(curves: Path) -> None:
    """Groups for tuning and groups for reporting share no task."""
    found = {group: set(names(group, curves)) for group in GROUPS}

    assert (10, 24) == (len(found["rbv2-dev"]), len(found["rbv2"]))
    assert (10, 24) == (len(found["dev"]), len(found["heldout"]))
    assert not found["rbv2-dev"] & found["rbv2"]
    assert not found["dev"] & found["heldout"]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (0, 1, 2)), ("1-3", (1, 2, 3)), ("4-4", (4,)), ("0,2,5-6", (0, 2, 5, 6))],
)
def test_seeds_are_a_number_of_them_or_a_list(text: str, seeds: tuple[int, ...]) -> None:
    """A number alone counts from 0; ranges and lists name the seeds themselves."""
    assert seeds == seeds_in(text)
