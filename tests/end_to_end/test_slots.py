"""Several trials on one worker, with a real server and real training."""

from pathlib import Path

from tests.end_to_end.cluster import cluster, street_study
from tuner.spec.states import StudyState
from tuner.spec.views import Event


def test_trials_share_a_worker(tmp_path: Path, sqlite_url: str) -> None:
    """The second comes when the first was measured, and what was is there for the next worker."""

    def is_second(event: Event) -> bool:
        return event.kind == "trial.reported" and event.trial == 1

    study = street_study("together", sampler="random", trials=2)
    study["base"]["training"]["epochs"] = 1000  # neither ends by itself
    with cluster(tmp_path, sqlite_url, SEGTUNE_SLOTS="auto") as town:
        town.client.submit(study)
        town.start_worker("only")
        town.until("together", is_second)
        (worker,) = town.client.workers()
        first = town.client.trial("together", 0)
        town.client.cancel("together")

        assert town.client.study("together").state is StudyState.CANCELLED
    assert (worker.running, worker.state) == (2, "busy"), town.log("only")
    assert first.step > 0
    assert worker.capabilities.slots > 1
    assert (tmp_path / "cache" / "only" / "trial-memory.json").exists()
