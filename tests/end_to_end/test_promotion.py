"""Trials paused at a rung and promoted later, with real processes and real training."""

from pathlib import Path

from tests.end_to_end.cluster import assert_whole, cluster, metrics_by_step, street_study
from tuner.spec.states import StudyState, TrialState


def test_a_promoted_trial_goes_on_where_it_was_paused(tmp_path: Path, sqlite_url: str) -> None:
    """Its numbers are those of a trial that nobody ever paused, epoch by epoch."""
    promote = {"name": "promote", "eta": 2, "min_step": 2}
    search = {"sampler": "random", "trials": 4, "parallel": 1}
    with cluster(tmp_path, sqlite_url) as town:
        town.start_worker("only")
        town.client.submit(street_study("halving", pruner=promote, **search))
        study = town.client.wait("halving", timeout=300)

        assert StudyState.FINISHED is study.state, town.log("only")
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

        town.client.submit(street_study("plain", **search))
        town.client.wait("plain", timeout=300)
        for trial in promoted:
            whole = metrics_by_step(town.client, "plain", trial.number)
            halved = metrics_by_step(town.client, "halving", trial.number)
            assert halved == {step: whole[step] for step in halved}
