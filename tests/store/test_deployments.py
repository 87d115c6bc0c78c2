"""What a network costs is measured once, and one that breaks a bound costs no epoch."""

from typing import Any

import pytest
from optuna.trial import TrialState as OptunaState
from sqlalchemy import delete

from tests.store.fleet import LEASE_SECONDS
from tests.store.measuring import BOUND, DECODERS, LATENCIES, MeasuringFleet, costs, deployed
from tests.store.samples import spec
from tuner.errors import InvalidInput, LeaseLost
from tuner.search.observation import Translator
from tuner.service import documents, leases, overview, studies
from tuner.service.pareto import front
from tuner.service.rankings import ranking
from tuner.service.searches import observe
from tuner.spec.messages import Action, OutcomeKind
from tuner.spec.metrics import MEASURED
from tuner.spec.states import StudyState, TrialState
from tuner.store import studies as study_rows
from tuner.store.engine import Database
from tuner.store.tables import Measurement


@pytest.fixture
def fleet(database: Database) -> MeasuringFleet:
    """Workers of a database."""
    return MeasuringFleet(database)


def by_hand(fleet: MeasuringFleet, decoder: str, study: str = "streets") -> None:
    """Ask for a trial of that decoder."""
    params = {"model.decoder": decoder, "optimizer.lr": 0.01}
    studies.enqueue(fleet.db, study, params)


def test_an_infeasible_network_costs_no_epoch(fleet: MeasuringFleet) -> None:
    """Its trial is pruned before the first step, with metric, value and bound as the reason."""
    fleet.submit(deployed(search={"sampler": "random", "pruner": "none", "trials": 12}))
    epochs = fleet.work()
    trials = overview.trials(fleet.db, "streets", limit=50).items
    slow = [each for each in trials if each.params["model.decoder"] == "deeplabv3plus"]
    assert slow
    assert epochs == 3 * (12 - len(slow))
    for each in trials:
        is_slow = each in slow
        assert each.state is (TrialState.PRUNED if is_slow else TrialState.COMPLETED)
        assert each.feasible is not is_slow
        if is_slow:
            assert each.step == 0
            assert "latency_ms is 40 ms, above the max of 30 (cpu, torch, fp32, 32×32" in (
                each.reason
            )
    assert overview.study(fleet.db, "streets").state is StudyState.FINISHED


def test_each_network_is_measured_once(fleet: MeasuringFleet) -> None:
    """Whichever study asks, and whatever else of a config differs; the slow one is not leased."""
    search = {"sampler": "random", "pruner": "none", "trials": 12}
    fleet.submit(deployed(search=search))
    fleet.work()
    assert sorted(fleet.measured) == sorted(LATENCIES)
    fleet.submit(deployed("again", search={**search, "seed": 7}))
    fleet.work()
    assert sorted(fleet.measured) == sorted(LATENCIES)
    attempts = {
        trial.params["model.decoder"]: trial.attempts
        for trial in overview.trials(fleet.db, "again", limit=50).items
    }
    assert attempts["deeplabv3plus"] == 0


def test_another_place_is_measured_anew(fleet: MeasuringFleet) -> None:
    """Precision and size are part of what is known."""
    by_size = [{"device": "cpu"}, {"device": "cpu", "size": [64, 64]}, {"precision": "bf16"}]
    for number, deployment in enumerate(by_size):
        fleet.submit(
            deployed(
                f"s{number}",
                deployment=deployment,
                search={"trials": 1, "sampler": "random", "pruner": "none"},
            )
        )
        fleet.work()
    assert fleet.measured == ["ocr", "ocr", "ocr"]


def test_what_is_measured_joins_every_step(fleet: MeasuringFleet) -> None:
    """Steps, trial, table and ranking have it as they have what a training reports."""
    fleet.submit(deployed(search={"sampler": "random", "pruner": "none", "trials": 3}))
    held = fleet.ask_on("cpu")
    assert held is not None
    assert held.measure is not None
    assert held.measure.size == (32, 32)
    fleet.tell(held)
    before = overview.trial(fleet.db, "streets", 0)
    assert (before.step, before.metrics["latency_ms"]) == (0, 20.0)
    fleet.train(held)
    for step in overview.steps(fleet.db, "streets", 0):
        assert step.metrics["latency_ms"] == 20.0
        assert step.metrics.keys() >= MEASURED.keys()
    fleet.work()
    best = ranking(fleet.db, "streets", "latency_ms")
    assert best[0].value == min(one.value for one in best)
    table = overview.trials(fleet.db, "streets", sort="macs").items
    assert len(table) == 3


def test_a_worker_of_another_class_does_not_measure(fleet: MeasuringFleet) -> None:
    """It trains what is measured; a new network waits for a worker of the class, which is said."""
    fleet.submit(deployed(search={"sampler": "random", "pruner": "none", "trials": 1}))
    assert fleet.ask_on("cuda", "gpu") is None
    assert fleet.ask_on("cuda", "gpu") is None
    view = overview.study(fleet.db, "streets")
    assert view.waiting_for is not None
    assert "its models are to run on cpu, and no worker is there that can" in view.waiting_for
    assert view.counts.total == 1
    held = fleet.ask_on("cpu", "host")
    assert held is not None
    assert held.trial == 0
    assert held.measure is not None
    by_hand(fleet, "ocr")
    fleet.follow(held)
    known = fleet.ask_on("cuda", "gpu")
    assert known is not None
    assert (known.trial, known.measure) == (1, None)
    by_hand(fleet, "fcn")
    assert fleet.ask_on("cuda", "gpu") is None
    assert overview.trial(fleet.db, "streets", 2).state is TrialState.WAITING


def test_what_waits_to_be_measured_keeps_nobody_from_what_is(fleet: MeasuringFleet) -> None:
    """A worker of another class draws on, and trains each draw whose network is known."""
    search = {"sampler": "random", "pruner": "none", "trials": 24, "parallel": 8}
    fleet.submit(deployed(constraints=[], search=search))
    first = fleet.ask_on("cpu", "host")
    assert first is not None
    known = first.config.model.decoder
    fleet.follow(first)
    trained = [fleet.ask_on("cuda", "gpu") for _ in range(12)]
    found = [held for held in trained if held is not None]
    assert len(found) > 1
    assert all(held.config.model.decoder == known and held.measure is None for held in found)
    waiting = overview.study(fleet.db, "streets").counts.waiting
    assert 0 < waiting <= 8
    for held in found:
        fleet.train(held)
    fleet.work(device="cpu")
    assert overview.study(fleet.db, "streets").counts.completed == 24


def test_unmeasured_trials_are_drawn_up_to_as_many_as_may_run(fleet: MeasuringFleet) -> None:
    """Nobody can measure, so that more of them would only be drawn with less known."""
    search = {"sampler": "random", "pruner": "none", "trials": 24, "parallel": 3}
    fleet.submit(deployed(search=search))
    for _ in range(6):
        assert fleet.ask_on("cuda", "gpu") is None
    counts = overview.study(fleet.db, "streets").counts
    assert (counts.total, counts.waiting) == (3, 3)


def test_what_waits_to_be_measured_does_not_hold_up_a_promotion(fleet: MeasuringFleet) -> None:
    """A trial at a rung is of a network that was measured: whoever trains goes on with it."""
    search = {"sampler": "random", "pruner": "promote", "trials": 24, "parallel": 8}
    base = {
        "model": {"encoder": "resnet18"},
        "training": {"epochs": 9},
        "schedule": {"warmup": 0},
    }
    fleet.submit(deployed(base=base, constraints=[], search=search))
    assert fleet.ask_on("cpu", "base") is not None
    for value in (0.1, 0.9, 0.2):
        held = fleet.ask_on("cpu", "host")
        assert held is not None
        if held.measure is not None:
            fleet.tell(held)
        status = fleet.report(held, 1, 2, value=value)
        if status.verdict.action is Action.PAUSE:
            fleet.finish(held, OutcomeKind.PAUSED)
    assert overview.study(fleet.db, "streets").counts.paused == 3
    with fleet.db.transaction() as session:
        session.execute(delete(Measurement))
    for decoder in LATENCIES:
        by_hand(fleet, decoder)
    promoted = fleet.ask_on("cuda", "gpu")
    assert promoted is not None
    assert (promoted.trial, promoted.last_step, promoted.measure) == (2, 2, None)


def test_a_worker_that_may_not_train_measures_all_the_same(fleet: MeasuringFleet) -> None:
    """Models for a CPU are trained on GPUs: a worker with a CPU measures, and hands on."""
    fleet.submit(
        deployed(resources={"gpus": 1}, search={"sampler": "random", "pruner": "none", "trials": 6})
    )
    assert fleet.ask_on("cuda", "gpu") is None
    held = fleet.ask_on("cpu", "host")
    assert held is not None
    verdict = fleet.tell(held).verdict
    assert verdict.action is Action.YIELD
    assert "a worker that the study asks for trains it" in verdict.reason
    fleet.finish(held, OutcomeKind.YIELDED)
    assert fleet.ask_on("cpu", "host") is None
    trained = fleet.ask_on("cuda", "gpu")
    assert trained is not None
    assert (trained.trial, trained.measure) == (held.trial, None)
    fleet.train(trained)
    assert overview.trial(fleet.db, "streets", held.trial).state is TrialState.COMPLETED


def test_a_study_that_draws_only_what_is_too_slow_says_so(fleet: MeasuringFleet) -> None:
    """One request ends a bounded number of trials, and the study's owner is told why."""
    search = {"sampler": "random", "pruner": "none", "trials": 40}
    fleet.submit(deployed(search=search, constraints=[{"metric": "latency_ms", "max": 5}]))
    for decoder in LATENCIES:
        by_hand(fleet, decoder)
    while len(fleet.measured) < 3:
        held = fleet.ask_on("cpu")
        assert held is not None
        assert fleet.follow(held) == 0
    ended = overview.study(fleet.db, "streets").counts.ended
    assert fleet.ask_on("cpu") is None
    view = overview.study(fleet.db, "streets")
    assert 0 < view.counts.ended - ended <= 16
    assert view.epochs == 0
    assert "trials broke a bound before they were trained" in view.warnings[0]
    assert "widen the bound, or search smaller networks" in view.warnings[0]
    while overview.study(fleet.db, "streets").state is StudyState.RUNNING:
        assert fleet.ask_on("cpu") is None
    view = overview.study(fleet.db, "streets")
    assert (view.state, view.counts.pruned, view.best_trial) == (StudyState.FINISHED, 40, None)


def test_the_sampler_sees_how_far_a_bound_is_missed(fleet: MeasuringFleet) -> None:
    """A trial that was never trained is infeasible by what was measured, not by what is unknown."""
    bounds = [*BOUND, {"metric": "train_loss", "max": 0.2}]
    search = {"sampler": "random", "pruner": "none", "trials": 12}
    fleet.submit(deployed(constraints=bounds, search=search))
    fleet.work()
    with fleet.db.reading() as session:
        row = study_rows.find(session, "streets")
        rules = documents.rules_of(row)
        translator = Translator(rules.spec)
        seen = [(one, translator.trial(one)) for one in observe(session, row, rules)]
    slow = [pair for pair in seen if pair[0].params["model.decoder"] == "deeplabv3plus"]
    assert slow
    for one, trial in slow:
        assert one.constraints == (10.0, 0.0)
        assert trial.state is OptunaState.PRUNED
        assert sorted(trial.constraints.values()) == [0.0, 10.0]
    assert all(one.constraints[0] == 0 for one, _ in seen if one not in [each for each, _ in slow])


@pytest.mark.parametrize("sampler", ["random", "rung_tpe", "nsga2"])
def test_a_network_that_is_too_slow_takes_one_trial(fleet: MeasuringFleet, sampler: str) -> None:
    """Once it is known, other networks are drawn in its place, whatever the sampler learns."""
    fleet.submit(
        deployed(search={"sampler": sampler, "pruner": "none", "trials": 24, "parallel": 1})
    )
    fleet.work()
    view = overview.study(fleet.db, "streets")
    assert (view.counts.pruned, view.counts.completed) == (1, 23)


def test_a_grid_is_tried_to_its_end(fleet: MeasuringFleet) -> None:
    """Points that break a bound are passed over until nothing else is left, then ended."""
    space = {**DECODERS, "training.batch_size": {"choice": [2, 4, 8]}}
    fleet.submit(
        deployed(
            space=space,
            base={"model": {"encoder": "resnet18"}, "training": {"epochs": 1, "batch_size": 2}},
            search={"sampler": "grid", "pruner": "none", "trials": 9},
        )
    )
    fleet.work()
    view = overview.study(fleet.db, "streets")
    assert (view.state, view.counts.pruned, view.counts.completed) == (StudyState.FINISHED, 3, 6)


def test_two_objectives_have_a_front(fleet: MeasuringFleet) -> None:
    """mIoU against latency: the fast one and the good one are on it, what both beat is not."""
    objectives = [{"metric": "miou"}, {"metric": "latency_ms"}]
    fleet.submit(
        deployed(
            objectives=objectives,
            constraints=[],
            search={"sampler": "random", "pruner": "none", "trials": 1},
        )
    )
    for decoder in ("fcn", "deeplabv3plus"):
        by_hand(fleet, decoder)
    values = {"fcn": 0.4, "ocr": 0.3, "deeplabv3plus": 0.6}
    while (held := fleet.ask_on("cpu")) is not None:
        fleet.follow(held, value=values[held.config.model.decoder])
    found = front(fleet.db, "streets")
    assert [goal.direction for goal in found.objectives] == ["maximize", "minimize"]
    on_front = sorted(step.values for step in found.steps if step.on_front)
    assert on_front == [(0.4, 10.0), (0.6, 40.0)]


def test_the_first_measurement_counts(fleet: MeasuringFleet) -> None:
    """Two workers measured at the same moment: both trials have one latency."""
    fleet.submit(deployed(search={"sampler": "random", "pruner": "none", "trials": 2}))
    by_hand(fleet, "ocr")
    by_hand(fleet, "ocr")
    first, second = fleet.ask_on("cpu", "a"), fleet.ask_on("cpu", "b")
    assert first is not None
    assert second is not None
    fleet.tell(first, 20.0)
    fleet.tell(second, 31.0)
    fleet.tell(first, 99.0)
    found = [overview.trial(fleet.db, "streets", number).metrics for number in (0, 1)]
    assert [each["latency_ms"] for each in found] == [20.0, 20.0]


def test_a_stale_worker_measures_nothing(fleet: MeasuringFleet) -> None:
    """The lease's token is asked for here as for reports; after the end there is no lease."""
    fleet.submit(deployed())
    held = fleet.take()
    with pytest.raises(LeaseLost):
        leases.measure(fleet.db, held.lease, "x", costs(1.0), lease_seconds=LEASE_SECONDS)
    fleet.finish(held, OutcomeKind.YIELDED)
    with pytest.raises(LeaseLost):
        fleet.tell(held)


def test_a_study_without_a_deployment_takes_no_measurements(fleet: MeasuringFleet) -> None:
    """Its assignment asks for none, and one that comes is refused with the reason."""
    fleet.submit(spec())
    held = fleet.take()
    assert held.measure is None
    with pytest.raises(InvalidInput, match="study 'streets' has no deployment"):
        leases.measure(fleet.db, held.lease, held.token, costs(1.0), lease_seconds=LEASE_SECONDS)


@pytest.mark.parametrize("constraints", [BOUND, []])
def test_a_trial_that_begins_anew_keeps_its_costs(
    fleet: MeasuringFleet, constraints: list[dict[str, Any]]
) -> None:
    """New data do not change the network: it is not measured again."""
    fleet.submit(deployed(constraints=constraints))
    held = fleet.take()
    fleet.tell(held)
    fleet.report(held, 1, data="a" * 64)
    fleet.finish(held, OutcomeKind.OUTDATED)
    again = fleet.take()
    assert (again.trial, again.last_step, again.measure) == (0, 0, None)
    fleet.train(again)
    assert overview.trial(fleet.db, "streets", 0).metrics["latency_ms"] == 20.0
