"""Trials that are paused and go on later, or are copied, with real processes and real training."""

from typing import Any

from tests.end_to_end.cluster import Cluster, assert_whole, light_study, metrics_by_step
from tuner.spec.states import StudyState, TrialSource, TrialState


def strong_base(document: dict[str, Any]) -> dict[str, Any]:
    """The study with a base recipe that learns faster than those of the test's prior."""
    document["base"]["optimizer"] = {"lr": 0.03}
    return document


def test_a_promoted_trial_goes_on_where_it_was_paused(shared_town: Cluster) -> None:
    """Its numbers are those of a trial that nobody ever paused, epoch by epoch."""
    promote = {"name": "promote", "eta": 2, "min_step": 2}
    # The second best of all waits below the base recipe until two weaker ones have come.
    rates = [{"optimizer.lr": rate, "training.batch_size": 4} for rate in (3e-3, 1e-3, 1.1e-3)]
    prior = {"configs": rates, "weight": 0}
    search = {"sampler": "random", "trials": 4, "parallel": 1, "prior": prior}
    town = shared_town
    town.client.submit(strong_base(light_study("halving", pruner=promote, **search)))
    study = town.client.wait("halving", timeout=300)

    assert StudyState.FINISHED is study.state, town.log("one")
    assert_whole(town.client, "halving")
    trials = [town.client.trial("halving", number) for number in range(4)]
    outcomes = [[one.outcome for one in trial.attempt_history] for trial in trials]
    assert ["completed"] == outcomes[0]
    assert any("paused" == one[0] for one in outcomes[1:])
    promoted = [trial for trial in trials if trial.attempts > 1]
    assert promoted
    assert any(trial.state is TrialState.COMPLETED for trial in trials)
    for trial in trials:
        kinds = [file.kind for file in trial.artifacts]
        assert kinds.count("checkpoint") <= 1
        if trial.state is TrialState.PRUNED:
            assert "epoch 2" in trial.reason or "epoch 4" in trial.reason

    needed = {**search, "trials": 1 + max(trial.number for trial in promoted)}
    town.client.submit(strong_base(light_study("plain", **needed)))
    town.client.wait("plain", timeout=300)
    for trial in promoted:
        whole = metrics_by_step(town.client, "plain", trial.number)
        halved = metrics_by_step(town.client, "halving", trial.number)
        assert halved == {step: whole[step] for step in halved}


def test_a_rung_on_less_data_is_trained_anew(shared_town: Cluster) -> None:
    """What ends up as the best was trained on all of it; the rungs tell of their own trainings."""
    promote = {"name": "promote", "eta": 2, "min_step": 3}
    search = {"sampler": "random", "trials": 3, "parallel": 1, "fidelity": "data"}
    town = shared_town
    town.client.submit(light_study("lean", pruner=promote, **search))
    study = town.client.wait("lean", timeout=300)

    assert StudyState.FINISHED is study.state, town.log("one")
    assert_whole(town.client, "lean")
    trials = [town.client.trial("lean", number) for number in range(3)]
    done = [trial for trial in trials if trial.state is TrialState.COMPLETED]
    assert trials[0] in done
    assert len(done) > 1
    for trial in trials[1:]:
        outcomes = [one.outcome for one in trial.attempt_history]
        assert outcomes == ["paused", "completed"][: 1 + (trial in done)]


def test_a_population_copies_its_best(shared_town: Cluster) -> None:
    """Workers take turns at its trials, and take up each other's checkpoints with other values."""
    sampler = {"name": "pbt", "interval": 1, "share": 0.4}
    town = shared_town
    town.client.submit(light_study("herd", sampler=sampler, trials=6, pruner="auto"))
    study = town.client.wait("herd", timeout=300)

    assert StudyState.FINISHED is study.state, town.log("one")
    assert_whole(town.client, "herd")
    numbers = [trial.number for trial in town.client.trials("herd")]
    trials = [town.client.trial("herd", number) for number in numbers]
    copies = [trial for trial in trials if trial.source is TrialSource.COPY]
    assert [trial for trial in copies if trial.state is TrialState.COMPLETED]
    for copy in copies:
        assert copy.config.changes[-1].values, copy.config
        whole = metrics_by_step(town.client, "herd", copy.copies or 0)
        begun = copy.config.changes[-1].epoch
        told = metrics_by_step(town.client, "herd", copy.number)
        assert [told[step] for step in range(1, begun)] == [whole[step] for step in range(1, begun)]
