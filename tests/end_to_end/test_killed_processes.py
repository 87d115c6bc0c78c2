"""Whoever is killed, no epoch is lost, doubled or made up."""

import signal
from pathlib import Path

import pytest

from tests.end_to_end.cluster import (
    Cluster,
    assert_whole,
    cluster,
    is_away,
    metrics_by_step,
    reported,
    street_study,
)
from tuner.spec.examples import SHEETS
from tuner.spec.states import StudyState

pytestmark = pytest.mark.timeout(600)
LONG = {"epochs": 9, "batch_size": 4}


def test_a_killed_workers_trial_goes_on_from_its_checkpoint_on_the_other_worker(
    tmp_path: Path, postgresql_url: str
) -> None:
    """SIGKILL in mid-epoch: the second attempt resumes, and the numbers are those of one run, as is
    the model of its best epoch.
    """
    document = street_study("killed", trials=1)
    document["base"]["training"] = LONG
    document["objectives"] = [{"metric": "miou", "at": "best"}]
    with cluster(tmp_path, postgresql_url, SEGTUNE_LEASE_SECONDS="4") as town:
        town.client.submit(document)
        town.start_worker("victim")
        town.until("killed", reported(3))

        town.kill(town.workers["victim"])
        town.start_worker("heir")
        study = town.client.wait("killed", timeout=300)

        assert StudyState.FINISHED is study.state, town.log("heir")
        assert_whole(town.client, "killed")
        attempts = town.client.trial("killed", 0).attempt_history
        assert [("victim", "lost"), ("heir", "completed")] == [
            (attempt.worker, attempt.outcome) for attempt in attempts
        ]
        first_of_heir = min(
            step.step for step in town.client.steps("killed", 0) if step.attempt == 2
        )
        assert first_of_heir >= 4
        town.client.submit({**document, "name": "undisturbed"})
        town.client.wait("undisturbed", timeout=300)
        whole = metrics_by_step(town.client, "undisturbed", 0)
        assert whole == metrics_by_step(town.client, "killed", 0)
        best = max(whole, key=lambda step: whole[step])
        ended = [town.client.trial(name, 0) for name in ("killed", "undisturbed")]
        assert [trial.value_step for trial in ended] == [best, best]
        models = [file for one in ended for file in one.artifacts if file.kind == "model"]
        assert [file.step for file in models] == [best, best]
        assert models[0].sha256 == models[1].sha256


def test_workers_train_on_while_the_server_is_dead_and_deliver_all_when_it_is_back(
    tmp_path: Path, sqlite_url: str
) -> None:
    """SIGKILL of the server: the same attempt ends the trial, with every epoch."""
    document = street_study("orphaned", trials=2)
    document["base"]["training"] = LONG
    with cluster(tmp_path, sqlite_url) as town:
        town.client.submit(document)
        town.start_worker("steady")
        town.until("orphaned", reported(2))
        assert town.server is not None

        town.kill(town.server)
        assert is_away(town.client)
        town.start_server()
        study = town.client.wait("orphaned", timeout=300)

        assert StudyState.FINISHED is study.state, town.log("steady")
        assert_whole(town.client, "orphaned")
        assert [1, 1] == [trial.attempts for trial in town.client.trials("orphaned")]


def test_a_worker_that_is_told_to_stop_gives_its_trial_back_with_its_checkpoint(
    tmp_path: Path, sqlite_url: str
) -> None:
    """SIGTERM: the attempt ends as yielded, at once, and another worker goes on."""
    document = street_study("yielded", trials=1)
    document["base"]["training"] = LONG
    with cluster(tmp_path, sqlite_url) as town:
        town.client.submit(document)
        town.start_worker("leaver")
        town.until("yielded", reported(2))

        town.kill(town.workers["leaver"], signal.SIGTERM)
        trial = town.client.trial("yielded", 0)
        kinds = [file.kind for file in trial.artifacts]
        assert 1 == kinds.count("checkpoint")
        assert {"checkpoint", "preview", *SHEETS} >= set(kinds)
        town.start_worker("heir")
        study = town.client.wait("yielded", timeout=300)

        assert 0 == town.workers["leaver"].returncode
        assert StudyState.FINISHED is study.state, town.log("heir")
        assert_whole(town.client, "yielded")
        whole = town.client.trial("yielded", 0)
        steps = [file.step for file in whole.artifacts if file.kind == "predictions"]
        assert whole.step in steps
        assert len(steps) == len(set(steps))
        assert ["yielded", "completed"] == [
            attempt.outcome for attempt in town.client.trial("yielded", 0).attempt_history
        ]


def test_a_paused_study_frees_its_workers_and_resumes_where_it_was(
    shared_town: Cluster,
) -> None:
    """Pausing makes the running trial yield; resuming trains what was left of it."""
    document = street_study("paused", trials=1)
    document["base"]["training"] = LONG
    town = shared_town
    town.client.submit(document)
    town.until("paused", reported(2))

    town.client.pause("paused")
    town.until("paused", lambda event: event.kind == "trial.waiting")
    town.client.resume("paused")
    study = town.client.wait("paused", timeout=300)

    assert StudyState.FINISHED is study.state, town.log("one")
    assert_whole(town.client, "paused")
    assert 2 == town.client.trial("paused", 0).attempts
