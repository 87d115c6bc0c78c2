"""Real workers without the data: they use up no study, and go on when the data is there."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.cluster import Cluster, cluster, ended
from tests.training.samples import CLASSES, write_folder
from tuner.spec.states import StudyState
from tuner.spec.views import Event


def folder_study(**search: Any) -> dict[str, Any]:
    """A study of the files that `write_folder` writes; an epoch takes no time."""
    return {
        "name": "hole",
        "dataset": {"format": "folder", "root": "set", "classes": list(CLASSES), "size": [32, 48]},
        "base": {
            "model": {"decoder": "cnn", "encoder": "resnet18", "mid_channels": 8, "layers": 1},
            "training": {"epochs": 1, "batch_size": 2},
        },
        "space": {"optimizer.lr": {"float": [1e-3, 1e-1], "log": True}},
        "search": {"sampler": "random", "pruner": "none", **search},
    }


def start_worker(processes: Cluster, name: str, root: Path) -> None:
    """Start a worker that may read data sets below that root."""
    root.mkdir(exist_ok=True)
    processes.environment["SEGTUNE_DATA_ROOTS"] = str(root)
    processes.start_worker(name)


def warned(event: Event) -> bool:
    """Whether an event tells of a warning."""
    return event.kind == "study.warned"


@pytest.mark.timeout(240)
def test_a_worker_without_the_data_fails_no_trial(sqlite_url: str, tmp_path: Path) -> None:
    """It gives back what it takes, is shown as unfit, and the good worker trains all."""
    write_folder(tmp_path / "good")
    with cluster(tmp_path, sqlite_url) as processes:
        study = processes.client.submit(folder_study(trials=4))
        start_worker(processes, "bad", tmp_path / "empty")
        told = processes.until("hole", warned)
        assert "worker bad cannot train this study" in told.data["text"]
        start_worker(processes, "good", tmp_path / "good")
        processes.until("hole", ended)
        view = processes.client.study(study.id)
        bad = next(each for each in processes.client.workers() if each.name == "bad")
    assert (view.state, view.counts.completed, view.counts.failed) == (StudyState.FINISHED, 4, 0)
    assert bad.trials_done == 0
    assert "'set' does not exist" in (bad.unfit_reason or "")


@pytest.mark.timeout(240)
def test_one_worker_alone_says_what_is_missing_and_goes_on(sqlite_url: str, tmp_path: Path) -> None:
    """The study says so at once and waits; once the data appears it is trained by itself."""
    with cluster(tmp_path, sqlite_url) as processes:
        processes.client.submit(folder_study(trials=2))
        start_worker(processes, "only", tmp_path / "root")
        processes.until("hole", warned)
        waiting = processes.client.study("hole")
        assert "its trials wait" in waiting.warnings[0]
        assert (waiting.state, waiting.counts.total) == (StudyState.RUNNING, 1)
        write_folder(tmp_path / "root")
        processes.until("hole", ended)
        view = processes.client.study("hole")
        listed = processes.run("workers").stdout
    assert (view.state, view.counts.completed, view.counts.failed) == (StudyState.FINISHED, 2, 0)
    assert view.warnings == ()
    assert "idle" in listed
