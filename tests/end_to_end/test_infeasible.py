"""A study with a bound on what its network may cost, with real processes and real training."""

from tests.end_to_end.cluster import Cluster, street_study
from tuner.spec.metrics import MEASURED
from tuner.spec.states import StudyState, TrialState

SMALL, LARGE = "tu-test_efficientnet", "resnet18"


def test_a_network_that_breaks_a_bound_trains_no_epoch(shared_town: Cluster) -> None:
    """The first of its kind is measured and pruned, the next ones are not even leased."""
    document = street_study("bounded", sampler="grid", trials=5, parallel=1)
    document["base"]["model"]["encoder"] = SMALL
    document["base"]["training"]["epochs"] = 2
    document["space"] = {
        "model.encoder": {"choice": [SMALL, LARGE]},
        "training.batch_size": {"choice": [4, 8]},
    }
    document["constraints"] = [{"metric": "parameters", "max": 5e6}]
    document["deployment"] = {"device": "cpu", "size": [64, 64], "threads": 1}
    town = shared_town
    town.client.submit(document)
    study = town.client.wait("bounded", timeout=240)
    trials = [town.client.trial("bounded", number) for number in range(study.counts.total)]
    best = town.client.best("bounded")

    assert study.state is StudyState.FINISHED, town.log("one")
    large = [trial for trial in trials if trial.config.model.encoder == LARGE]
    small = [trial for trial in trials if trial not in large]
    assert len(large) == 2
    assert all(trial.state is TrialState.PRUNED and trial.step == 0 for trial in large)
    assert all("parameters is" in trial.reason for trial in large)
    assert sorted(trial.attempts for trial in large) == [0, 1]
    assert all(trial.state is TrialState.COMPLETED for trial in small)
    assert study.epochs == 2 * len(small)
    for trial in small:
        assert trial.metrics.keys() >= {*MEASURED, "miou"}
    assert best.metrics["parameters"] < 5e6
