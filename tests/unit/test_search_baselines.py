"""Baselines of the search benchmark run in the simulator, where their packages are at hand."""

from collections.abc import Sequence

import pytest

from benchmarks.search.methods import BASELINES, is_installed, open_tuner
from benchmarks.search.simulator import TRAINING_SECONDS, Clock, Record, Setup, Simulation
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params

EPOCHS, BUDGET = 27, 4
PATHS = {
    "sgd": {"optimizer.name", "optimizer.lr", "training.batch_size", "optimizer.momentum"},
    "adamw": {"optimizer.name", "optimizer.lr", "training.batch_size"},
}


class _Curves:
    """Courses that rise to a height which the learning rate decides; keeps what was trained."""

    def __init__(self) -> None:
        self.trained: list[Params] = []

    def __call__(self, params: Sequence[Params]) -> list[Curve]:
        self.trained += params
        return [self._curve(one["optimizer.lr"]) for one in params]

    def _curve(self, height: float) -> Curve:
        values = tuple(height * (1 - 0.8**step) for step in range(1, EPOCHS + 1))
        return Curve(values, (1.0,) * EPOCHS)


def _task(curves: _Curves) -> Task:
    return Task(
        name="conditional",
        metric="miou",
        direction="maximize",
        epochs=EPOCHS,
        base={"schedule": {"warmup": 0.0}},
        space={
            "optimizer.name": {"choice": ["sgd", "adamw"]},
            "optimizer.lr": [
                {"float": [0.1, 1.0], "log": True, "when": {"optimizer.name": "sgd"}},
                {"float": [0.01, 0.5], "when": {"optimizer.name": "adamw"}},
            ],
            "optimizer.momentum": {"float": [0.5, 0.9], "when": {"optimizer.name": "sgd"}},
            "training.batch_size": {"int": [2, 64], "log": True},
        },
        curves=curves,
    )


def _search(method: str, curves: _Curves, **setting: float) -> Record:
    if not is_installed(method):
        pytest.skip(f"the package of {method} is not installed")
    task, clock = _task(curves), Clock()
    setup = Setup(workers=4, budget=BUDGET, **setting)  # type: ignore[arg-type]
    with open_tuner(method, task, 1, clock) as tuner:
        return Simulation(task, tuner, setup, clock=clock, seconds=float(EPOCHS)).run()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [*BASELINES, "syne-mobster[type=promotion]"])
def test_a_baseline_trains_what_the_space_allows(method: str) -> None:
    """All of the budget is trained, and every training has the active params alone, in range."""
    curves = _Curves()

    record = _search(method, curves)

    assert BUDGET == pytest.approx(record.trained / TRAINING_SECONDS)
    space = _task(curves).study({}).space
    for params in curves.trained:
        assert PATHS[params["optimizer.name"]] == params.keys()
        for path, value in params.items():
            active = space.active(path, params)
            assert active is not None
            assert active[1].contains(value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [*BASELINES])
def test_a_baseline_lives_on_without_its_workers(method: str) -> None:
    """Lost workers and late starts stop no method."""
    record = _search(method, _Curves(), lag=0.1, loss=0.5)

    assert record.losses > 0
    assert record.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["neps-asha", "neps-priorband", "syne-mobster[type=promotion]"])
def test_a_promoted_trial_goes_on_where_it_paused(method: str) -> None:
    """Every trial is trained at most once through each of its epochs."""
    curves = _Curves()

    record = _search(method, curves)

    assert len(record.trials) == len(curves.trained)  # one curve a trial, however often resumed
    assert record.leases > len(record.trials)
    assert len(record.seen) <= len(record.trials) * EPOCHS
