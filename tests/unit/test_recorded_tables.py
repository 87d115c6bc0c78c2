"""Recorded tables answer with what is expected, and with what seeds really do."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks import record
from benchmarks.search import recorded, taskset
from benchmarks.search.fitted import Fitted, Floats, Rows, Spread, encoded
from benchmarks.search.groups import TABLES, find, names
from benchmarks.search.simulator import Clock, Job, Setup, Simulation
from benchmarks.search.table_error import held_out, nearest, ranks
from benchmarks.search.task import Task, params_at
from tuner.spec.messages import Action
from tuner.spec.space import Params
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import StudySpec

EPOCHS, SEEDS = 6, 3
SPACE = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.lr": [
        {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
        {"float": [1e-5, 1e-3], "log": True, "when": {"optimizer.name": "adamw"}},
    ],
    "training.batch_size": {"int": [2, 32]},
}
TASK = Task("toy", "miou", "maximize", EPOCHS, {}, SPACE, curves=lambda _: [])


def _rows(count: int = 60) -> Rows:
    """Trainings of sgd end at .8 and those of adamw at .2; the first ten have three seeds."""
    rng = np.random.default_rng(1)
    spec = TASK.study({})
    drawn = [params_at(spec, point) for point in rng.random((count, 3))]
    params = [one for place, one in enumerate(drawn) for _ in range(SEEDS if place < 10 else 1)]
    ends = np.array([0.8 if one["optimizer.name"] == "sgd" else 0.2 for one in params])
    shift = rng.normal(0, 0.01, len(params))  # a lucky seed is lucky at each epoch
    values = ends[:, np.newaxis] * np.linspace(0.5, 1, EPOCHS) + shift[:, np.newaxis]
    return Rows(spec, params, values, np.full((len(params), EPOCHS), 2.0))


def test_a_fitted_table_gives_what_is_expected_and_always_the_same() -> None:
    """Two fits of the same rows agree, and both know which optimizer ends where."""
    asked: list[Params] = [
        {"optimizer.name": "sgd", "optimizer.lr": 0.01, "training.batch_size": 8},
        {"optimizer.name": "adamw", "optimizer.lr": 1e-4, "training.batch_size": 8},
    ]
    first, again = Fitted(_rows()).curves(asked), Fitted(_rows()).curves(asked)

    assert first == again
    assert [curve.values[-1] for curve in first] == pytest.approx([0.8, 0.2], abs=0.05)
    assert first[0].seconds == pytest.approx((2.0,) * EPOCHS)


@pytest.mark.parametrize("name", ["camvid", "camvid-large", "crackforest"])
def test_a_table_has_the_space_of_the_study_beside_it(name: str) -> None:
    """Who trains more rows by the file adds to the same table."""
    (task,) = (find(name, one, Path()) for one in names(name, Path()))
    study = yaml.safe_load((TABLES / f"{task.name}.yaml").read_text())
    table = recorded.rows(TABLES / f"{task.name}.json.gz")

    assert StudySpec.model_validate(study).space == table.spec.space
    assert task.epochs == study["base"]["training"]["epochs"] == table.values.shape[1]
    assert {"metric": task.metric, "direction": task.direction} in study["objectives"]


def test_an_alternative_that_does_not_apply_is_in_the_middle() -> None:
    """Learning rates of two optimizers are two coordinates."""
    params: Params = {"optimizer.name": "adamw", "optimizer.lr": 1e-5, "training.batch_size": 32}
    found = encoded(TASK.study({}), params)

    assert found == pytest.approx([0, 1, 1, 0.5, 0])


def test_noise_is_a_departure_that_was_recorded() -> None:
    """It is decided by the params, and as long as a training."""
    rows = _rows()
    table, departures = Fitted(rows), np.concatenate(Spread.of(rows).departures)
    asked: Params = {"optimizer.name": "sgd", "optimizer.lr": 0.02, "training.batch_size": 9}
    noise = table.noise("toy", asked)

    assert np.array_equal(noise, table.noise("toy", asked))
    assert any(np.array_equal(noise, one) for one in departures)
    assert len(departures) == 10 * SEEDS


def test_departures_spread_as_trainings_do() -> None:
    """The mean that was taken of three seeds makes them no smaller than one training's are."""
    rng = np.random.default_rng(2)
    params: list[Params] = [
        {"optimizer.name": "sgd", "optimizer.lr": 1e-3, "training.batch_size": 2 + place // SEEDS}
        for place in range(31 * SEEDS)
    ]
    values = rng.normal(0, 1, (len(params), 200))
    spread = Spread.of(Rows(TASK.study({}), params, values, np.ones_like(values)))

    assert np.concatenate(spread.departures).std() == pytest.approx(1, abs=0.02)


def test_a_table_without_repeats_has_no_noise() -> None:
    """What nobody measured is not made up."""
    rows = _rows()
    once = dict(zip(rows.keys, range(len(rows.params)), strict=True)).values()
    places = list(once)
    single = Rows(
        rows.spec,
        [rows.params[place] for place in places],
        rows.values[places],
        rows.seconds[places],
    )

    assert Spread.of(single).draw(0.5, np.random.default_rng(0)) == 0.0


def test_noise_is_reported_and_not_counted() -> None:
    """A search sees the noise of a task, regret goes by what is true."""
    noisy = replace(TASK, curves=Fitted(_rows()).curves, noise=lambda _: np.full(EPOCHS, 0.5))
    tuner = _Once()
    simulation = Simulation(
        noisy, tuner, Setup(workers=1, budget=1), clock=Clock(), seconds=2.0 * EPOCHS
    )
    seen = simulation.run().seen

    assert [one.reported - one.value for one in seen] == pytest.approx([0.5] * EPOCHS)


def test_seeds_of_the_same_params_are_held_out_together() -> None:
    """No answer has seen another seed of what it is asked."""
    asked: Counter[str] = Counter()

    def answer(known: Rows, other: Rows) -> Floats:
        assert not set(known.keys) & set(other.keys)
        asked.update(other.keys)
        return nearest(known, other)

    rows = _rows()
    found = held_out(rows, answer)

    assert found.shape == rows.values.shape
    assert asked == Counter(rows.keys)


@pytest.mark.parametrize(("direction", "best"), [("maximize", -1.0), ("minimize", 1.0)])
def test_the_best_of_a_training_is_best_in_the_tasks_direction(
    direction: Literal["maximize", "minimize"], best: float
) -> None:
    """Of a loss the least: here greatest and least values of trainings stand in other orders."""
    rows = _rows(3)
    asked = np.array([[1.0, 6.0], [2.0, 5.0], [3.0, 4.0]])
    found = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])
    table = Rows(replace(TASK, direction=direction).study({}), rows.params[:3], asked, asked)

    assert (-1.0, best) == pytest.approx(ranks(table, found))


def test_a_table_of_taskset_may_be_fitted_too(tmp_path: Path) -> None:
    """At params that were recorded both kinds of answer are about what was recorded."""
    rng = np.random.default_rng(3)
    names_of = [name for name, _ in taskset.PATHS.values()]
    trainings = [
        {"hp": dict(zip(names_of, hp, strict=True)), "valid": {"loss": [1.0] * 26 + [hp[0]] * 25}}
        for hp in rng.uniform(0.01, 0.9, (80, len(names_of))).tolist()
    ]
    (tmp_path / "toy.json.gz").write_bytes(gzip.compress(json.dumps(trainings).encode()))
    asked = taskset.rows(tmp_path / "toy.json.gz").params
    exact = [one.values[-1] for one in taskset.tasks(tmp_path)["toy"].curves(asked)]
    expected = [one.values[-1] for one in taskset.fitted(tmp_path)["toy"].curves(asked)]

    assert exact == [training["hp"]["learning_rate"] for training in trainings]
    assert np.corrcoef(exact, expected)[0, 1] > 0.9


def test_a_thin_class_stays_in_one_piece(tmp_path: Path) -> None:
    """Of a line two pixels wide the small copy shows the window through which it runs."""
    label = np.zeros((160, 240), np.uint8)
    label[20:22, 100:230] = 1
    for kind, picture in (("images", np.stack([label] * 3, axis=2)), ("labels", label)):
        (tmp_path / kind / "train").mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / kind / "train" / "1.png")
    copy = record.Copy({"train": 1}, (48, 32), thin=1)

    assert record.shrink(tmp_path, tmp_path / "small", copy) == 1
    small = np.asarray(Image.open(tmp_path / "small" / "labels" / "train" / "1.png"))
    assert small.shape == (32, 48)
    assert small.any(axis=0).all()


def test_only_seeds_that_are_missing_are_asked_for() -> None:
    """Asked twice, the second time adds nothing."""
    server = _Server()

    assert record.repeat(server, "study", configurations=2, seeds=3) == 4  # type: ignore[arg-type]
    assert record.repeat(server, "study", configurations=2, seeds=3) == 0  # type: ignore[arg-type]
    assert server.added == [{"lr": 1}, {"lr": 1}, {"lr": 2}, {"lr": 2}]


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.CANCELLED, TrialState.PRUNED])
def test_a_seed_that_left_no_curve_is_asked_for_again(state: TrialState) -> None:
    """A repeat that did not end well counts for nothing; one that may still end well does."""
    server = _Server()
    record.repeat(server, "study", configurations=2, seeds=3)  # type: ignore[arg-type]
    first, second, *_ = [trial for trial in server.trials("study") if trial.number > 3]
    first.state, second.state = state, TrialState.WAITING

    assert record.repeat(server, "study", configurations=2, seeds=3) == 1  # type: ignore[arg-type]
    assert server.added[-1] == first.params


class _Once:
    """A tuner that hands out one trial after the other."""

    given = 0

    def take(self, worker: int) -> Job:
        self.given += 1
        params = {"optimizer.name": "sgd", "optimizer.lr": 0.01, "training.batch_size": 8}
        return Job(self.given, params)

    def stop(self, job: Job, step: int) -> int:
        return EPOCHS

    def report(self, *_: object) -> Action:
        return Action.CONTINUE

    def finish(self, *_: object) -> None:
        pass

    def lose(self, *_: object) -> None:
        pass

    def notice(self) -> None:
        pass


class _Trial:
    def __init__(self, number: int, params: dict[str, Any], source: TrialSource) -> None:
        self.number, self.params, self.source = number, params, source
        self.state = TrialState.COMPLETED


class _Server:
    """Has the base recipe and three trials that were drawn; keeps what is added."""

    def __init__(self) -> None:
        self.added: list[dict[str, Any]] = []
        self._trials = [_Trial(0, {"lr": 0}, TrialSource.BASE)]
        self._trials += [_Trial(n, {"lr": n}, TrialSource.SAMPLER) for n in (1, 2, 3)]

    def trials(self, study: str) -> list[_Trial]:
        return list(self._trials)

    def enqueue(self, study: str, params: dict[str, Any]) -> None:
        self.added.append(params)
        self._trials.append(_Trial(len(self._trials), params, TrialSource.USER))
