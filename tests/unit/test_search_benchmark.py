"""The search benchmark keeps its books: budgets, lost workers, seeds, levels and figures."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from benchmarks.search.__main__ import main
from benchmarks.search.flat import decode, dimensions
from benchmarks.search.groups import GROUPS
from benchmarks.search.methods import is_installed, open_tuner, our_study
from benchmarks.search.noise import deviates
from benchmarks.search.rough import rough
from benchmarks.search.runfile import Order, add, load
from benchmarks.search.runs import own_seed, run_all, simulate
from benchmarks.search.service import ServiceTuner, database
from benchmarks.search.simulator import (
    TRAINING_SECONDS,
    Clock,
    Job,
    Record,
    Setup,
    Simulation,
    Tuner,
)
from benchmarks.search.table import Table, coordinates
from benchmarks.search.task import Curve, params_at, params_in, point_of
from tests.unit.toy_task import EPOCHS, TASK, course, curves, made_up
from tuner.configs.resolve import resolve
from tuner.spec.messages import Action
from tuner.spec.space import Params
from tuner.store.tables import Attempt, Trial


class _Patient:
    """A tuner that hands out new trials and stops none before its `last`."""

    def __init__(self, *, last: int = EPOCHS) -> None:
        self.last = last
        self.given = 0
        self.finished: list[tuple[int, Action, int]] = []

    def take(self, worker: int) -> Job | None:
        self.given += 1
        return Job(self.given, {"optimizer.lr": 0.01})

    def stop(self, job: Job, step: int) -> int:
        return self.last

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        return Action.PRUNE if max(values) == self.last < EPOCHS else Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        self.finished.append((job.trial, action, step))

    def lose(self, job: Job) -> None:
        pass

    def notice(self) -> None:
        pass


def _run(tuner: Tuner, setting: Setup, clock: Clock | None = None) -> Record:
    simulation = Simulation(TASK, tuner, setting, clock=clock or Clock(), seconds=float(EPOCHS))
    return simulation.run()


def _search(method: str, **setting: Any) -> Record:
    """A whole simulated study of the service."""
    clock, chosen = Clock(), Setup(**{"workers": 4, "budget": 6, **setting})
    with open_tuner(method, TASK, chosen.seed, clock) as tuner:
        return _run(tuner, chosen, clock)


def test_a_budget_is_whole_trainings() -> None:
    """One worker with a budget of three trainings trains three trials, and not an epoch more."""
    tuner = _Patient()

    record = _run(tuner, Setup(workers=1, budget=3))

    assert [1, 2, 3] == [trial for trial, _, _ in tuner.finished]
    assert 3 == pytest.approx(record.trained / TRAINING_SECONDS)
    assert 3 * EPOCHS == len(record.seen)


def test_the_budget_is_shared_by_the_workers() -> None:
    """Four workers end after a quarter of the time; epochs that would end later do not count."""
    record = _run(_Patient(), Setup(workers=4, budget=6))

    assert 4 * EPOCHS + 4 * (EPOCHS // 2) == len(record.seen)
    assert max(seen.time for seen in record.seen) <= 1.5 * TRAINING_SECONDS


def test_a_verdict_is_obeyed_at_its_step() -> None:
    """A pruned trial ends at the step that was judged, and its worker takes another."""
    tuner = _Patient(last=3)

    record = _run(tuner, Setup(workers=1, budget=1))

    assert [(number, Action.PRUNE, 3) for number in (1, 2, 3)] == tuner.finished
    assert 3 == record.leases


def test_a_lag_is_paid_at_every_lease() -> None:
    """With a lag of half a training, a budget of three pays for two trainings."""
    record = _run(_Patient(), Setup(workers=1, budget=3, lag=0.5))

    assert 2 == pytest.approx(record.trained / TRAINING_SECONDS)
    assert 0.5 * TRAINING_SECONDS < record.seen[0].time


@pytest.mark.parametrize("method", ["random+none", "tpe+asha", "auto+auto", "gp[startup=3]+auto"])
def test_the_service_never_trains_beyond_the_budget(method: str) -> None:
    """Whatever is pruned, all epochs together are exactly the budget, where it is whole epochs."""
    record = _search(method, budget=8)

    assert 8 == pytest.approx(record.trained / TRAINING_SECONDS)
    assert 0 == record.idle


def test_noise_is_in_the_reports_alone() -> None:
    """What is seen keeps its true value; what is reported differs, by the noise asked for."""
    record = _search("random+none", noise=0.1, seed=4)

    apart = [seen.reported - seen.value for seen in record.seen]
    assert 0.1 == pytest.approx(np.std(apart), rel=0.5)
    assert 0 == pytest.approx(np.mean(apart), abs=0.05)
    assert {seen.value for seen in record.seen} <= {
        value for seen in record.seen for value in course(seen.final)
    }


def test_the_same_training_reports_the_same_noise() -> None:
    """Noise is decided by the task and the params, not by who draws them or when."""
    one = deviates("toy", {"a": 1, "b": 0.5}, 4)

    assert one.tolist() == deviates("toy", {"b": 0.5, "a": 1}, 4).tolist()
    assert one.tolist() != deviates("toy", {"a": 2, "b": 0.5}, 4).tolist()
    assert one.tolist() != deviates("other", {"a": 1, "b": 0.5}, 4).tolist()


def test_regret_is_of_the_true_value_of_what_reported_best() -> None:
    """A lucky report takes the lead; its training is not better for it."""
    order = Order("toys", "toy", "optuna-tpe", Setup(workers=1, budget=30, noise=0.5, seed=1))

    run = simulate(order, TASK)

    values = [value for _, value, _ in run.best]
    assert values != sorted(values)


def test_runs_of_an_older_benchmark_are_known_again(tmp_path: Path) -> None:
    """A setting that the file does not name yet had its usual value."""
    orders = [Order("toys", "toy", "random+none", Setup())]
    made = asdict(made_up([1.0, 0.6, 0.6], method="random+none"))
    del made["order"]["setting"]["noise"]
    (tmp_path / "runs.jsonl").write_text(json.dumps(made) + "\n")

    (run,) = run_all(orders, tmp_path, tmp_path / "new", load(tmp_path / "runs.jsonl"), jobs=1)

    assert made["best"] == run.best


def test_a_task_that_has_changed_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A known run with other levels than the task's of today is passed over, which is said."""
    monkeypatch.setitem(GROUPS, "toys", lambda _: {"toy": TASK})
    words = "search --tasks toys --methods random+none --seeds 1 --budget 2 --curves . --results"
    results, known = tmp_path / "runs.jsonl", tmp_path / "known.jsonl"
    order = Order("toys", "toy", "random+none", Setup(budget=2.0))
    add(replace(made_up([1.0, 0.6, 0.6]), order=asdict(order)), known)
    monkeypatch.setattr(sys, "argv", [*words.split(), str(results), "--known", str(known)])

    main()
    first = capsys.readouterr().out
    main()

    assert "1 known run passed over" in first
    assert [order.key()] == [run.key() for run in load(results)]


def test_a_lost_workers_trial_is_resumed() -> None:
    """Leases that die are found by upkeep; their trials go on from the last reported step."""
    setting, clock = Setup(workers=4, budget=12, loss=0.3, seed=3), Clock()
    with database(clock) as db:
        tuner = ServiceTuner(db, our_study("random+none", TASK, 3))

        record = _run(tuner, setting, clock)

        with db.reading() as session:
            lost = session.scalars(select(Attempt).where(Attempt.outcome == "lost")).all()
            resumed = session.scalars(select(Trial).where(Trial.attempts > 1)).all()
            completed = [trial for trial in resumed if trial.state == "completed"]
    assert 0 < len(lost) <= record.losses
    assert len(record.trials) < record.leases
    assert completed
    assert {EPOCHS} == {trial.step for trial in completed}


def test_paused_trials_are_promoted_to_the_end() -> None:
    """Trials that paused at a rung go on in a later lease, and some of them complete."""
    clock = Clock()
    with database(clock) as db:
        tuner = ServiceTuner(db, our_study("random+promote", TASK, 2))

        record = _run(tuner, Setup(workers=2, budget=12, seed=2), clock)

        with db.reading() as session:
            found = session.scalars(select(Trial)).all()
    resumed = [trial for trial in found if trial.attempts > 1]
    assert any(trial.state == "paused" for trial in found)
    assert any(trial.step == EPOCHS for trial in resumed)
    assert sum(trial.attempts for trial in found) == record.leases
    assert 10 * EPOCHS < sum(trial.step for trial in found) <= 12 * EPOCHS  # none trained twice


def test_the_same_seed_gives_the_same_table() -> None:
    """A study simulated twice is the same to the last digit; another seed is another study."""
    one, same, other = (_search("auto+auto", loss=0.1, seed=seed) for seed in (5, 5, 6))

    assert one == same
    assert one.seen != other.seen


def test_trial_0_knows_nothing() -> None:
    """The base recipe of a simulated study is a random draw from the space, by seed."""
    starts = {our_study("random+none", TASK, seed).base.optimizer.lr for seed in range(3)}

    assert 3 == len(starts)


def test_options_of_a_method_reach_the_study() -> None:
    """Brackets behind a sampler or pruner hold its options."""
    study = our_study("tpe[startup=5]+asha[min_step=2,eta=4]", TASK, 0)

    assert {"startup": 5} == study.search.sampler.options
    assert {"min_step": 2, "eta": 4} == study.search.pruner.options


def test_a_method_may_have_a_good_or_a_bad_prior() -> None:
    """Both name one training out of the same random ones, far apart in what they reach."""
    found = [our_study(f"auto+auto@{which}", TASK, 1).search.prior for which in ("best", "worst")]

    configs = [config for prior in found if prior is not None for config in prior.configs]
    best, worst = (curve.values[-1] for curve in TASK.curves(configs))
    assert best > 0.8
    assert worst < 0.3


def test_a_method_may_start_from_a_study_of_another_task() -> None:
    """Its best params are tried first; turned upside down, its worst."""
    task = replace(TASK, kin=TASK)
    found = {}
    for which in ("kin", "odds"):
        clock = Clock()
        with open_tuner(f"random+none@{which}", task, 1, clock) as tuner:
            jobs = [tuner.take(worker) for worker in range(2)]
        assert jobs[1] is not None
        found[which] = TASK.curves([jobs[1].params])[0].values[-1]
    assert found["kin"] > 0.9
    assert found["odds"] < 0.3
    with (
        pytest.raises(ValueError, match="no task beside it"),
        open_tuner("random+none@kin", TASK, 1, Clock()),
    ):
        pass


def test_an_unknown_method_is_refused() -> None:
    """A name that is neither ours nor a baseline's raises, and the message lists what there is."""
    with pytest.raises(ValueError, match=r"no method 'oputna'.*optuna-gp"):
        is_installed("oputna")


def test_optuna_runs_in_the_same_simulator() -> None:
    """Optuna's default pair prunes some trials and completes others within the budget."""
    record = _search("optuna", budget=20)

    assert len(record.trials) > 20
    assert 20 == pytest.approx(record.trained / TRAINING_SECONDS)


def test_params_survive_the_way_through_a_config() -> None:
    """What is read off a full config are the params that it was made of."""
    study = TASK.study({})
    params = params_at(study, [0.3, 0.7])

    config = resolve(study.base, study.dataset, params).model_dump(mode="json")

    assert params == params_in(study, config)


def test_params_of_a_term_of_the_loss_are_found_by_its_position() -> None:
    """A sum of losses is a list of terms."""
    weight = {"float": [0.1, 3.0], "when": {"loss.name": "sum"}}
    space = {"loss.name": {"choice": ["sum", "focal"]}, "loss.terms.1.weight": weight}
    spec = replace(TASK, space=space).study({})
    terms = [{"name": "cross_entropy", "weight": 1.0}, {"name": "dice", "weight": 0.3}]
    found = params_in(spec, {"loss": {"name": "sum", "terms": terms}})
    assert found == {"loss.name": "sum", "loss.terms.1.weight": 0.3}


def test_the_cube_covers_every_whole_number_alike() -> None:
    """Coordinates of the unit cube give each whole number of a range the same share."""
    study = TASK.study({})
    drawn = [
        params_at(study, [0.5, (index + 0.5) / 310])["training.batch_size"] for index in range(310)
    ]

    assert [10] * 31 == [drawn.count(size) for size in range(2, 33)]


def test_a_table_answers_with_the_nearest_training() -> None:
    """A draw gets the recorded course whose scaled params are nearest."""
    study = TASK.study({})
    recorded = [
        {"optimizer.lr": 1e-3, "training.batch_size": 4},
        {"optimizer.lr": 1e-2, "training.batch_size": 30},
    ]
    curves = [Curve((0.1,), (1.0,)), Curve((0.2,), (1.0,))]
    table = Table(study, np.stack([coordinates(study, one) for one in recorded]), curves)

    near = table.curves([{"optimizer.lr": 2e-2, "training.batch_size": 25}, recorded[0]])

    assert [curves[1], curves[0]] == near


def test_a_rough_twin_answers_with_the_nearest_of_its_random_trainings() -> None:
    """They are trained once, when it is first asked, and are the same for whoever asks."""
    trained: list[Params] = []

    def remember(params: Sequence[Params]) -> list[Curve]:
        trained.extend(params)
        return curves(params)

    twin = rough(replace(TASK, curves=remember), rows=30)
    asked: list[Params] = [
        {"optimizer.lr": lr, "training.batch_size": 17} for lr in (1e-2, 3e-4, 1e-2)
    ]

    found = twin.curves(asked)

    nearest = [min(trained, key=lambda one: math.dist(_at(one), _at(params))) for params in asked]
    assert curves(nearest) == found == rough(TASK, rows=30).curves(asked)
    assert 30 == len(trained)
    assert "rough-toy" == twin.name


def _at(params: Params) -> list[float]:
    study = TASK.study({})
    return [float(share or 0) for share in point_of(study, params)]


def test_tasks_do_not_share_their_luck() -> None:
    """The same seed draws other params on another task, and the same ones for every method."""
    assert own_seed("one", 0) == own_seed("one", 0)
    assert 4 == len({own_seed(task, seed) for task in ("one", "other") for seed in (0, 1)})


def test_a_flat_space_is_read_back_by_its_conditions() -> None:
    """Of a value for every alternative only the active ones are params."""
    study = our_study("random+none", TASK, 0)
    space = study.space.model_validate(
        {
            "optimizer.name": {"choice": ["sgd", "adamw"]},
            "optimizer.lr": [
                {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
                {"float": [1e-5, 3e-3], "log": True, "when": {"optimizer.name": "adamw"}},
            ],
        }
    )
    values = dict(zip(dimensions(space), ("adamw", 0.05, 1e-6), strict=True))

    assert {"optimizer.name": "adamw", "optimizer.lr": 1e-5} == decode(space, values)


def test_a_method_may_know_when_its_study_ends() -> None:
    """Hours stand after all else, with or without a prior before them."""
    assert 5 == our_study("random+promote@5h", TASK, 0).search.max_wall_hours
    assert our_study("random+promote@best@2.5h", TASK, 0).search.prior is not None
    assert our_study("random+promote", TASK, 0).search.max_wall_hours is None
