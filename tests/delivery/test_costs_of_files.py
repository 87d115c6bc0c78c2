"""A network whose channels are those of a file is measured as the file has it."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.samples import config
from tuner.delivery.compress.pruning import PruningPlan, prune
from tuner.delivery.costs import measured
from tuner.delivery.measure import Effort
from tuner.errors import TrainingError, WeightsUnavailable
from tuner.spec.config import TrialConfig
from tuner.spec.deployment import Deployment, Measurements
from tuner.training.determinism import DeviceContext
from tuner.training.network.model import build, parameter_count
from tuner.training.network.model_files import write_model

BRIEF = Effort(warmup=1, least=2, most=2, rounds=1)


def write_pruned(path: Path, ratio: float) -> int:
    """Write the config's network without a share of its channels; gives its parameters."""
    whole = build(config(), mean=[0.0] * 3, std=[1.0] * 3)
    found = prune(whole, PruningPlan(ratio), classes=len(config().dataset.classes))
    write_model(path, found.network, config())
    return parameter_count(found.network)


def on(file: str) -> TrialConfig:
    """The config with weights from a file."""
    return config({"model.weights": file})


def costs_of(given: TrialConfig, root: Path, **deployment: Any) -> Measurements:
    """What its network costs on a worker that may read that folder, and keeps its cache there."""
    context = DeviceContext(cache=root / "cache", threads=1)
    where = Deployment.model_validate(deployment)
    found = measured(given, where, channels=3, context=context, roots=(root,), effort=BRIEF)
    return found.measurements


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_pruned_network_costs_what_is_left_of_it(tmp_path: Path, runtime: str) -> None:
    """Parameters and operations are the file's, in every runtime."""
    left = write_pruned(tmp_path / "pruned.pt", 0.5)
    whole = costs_of(config(), tmp_path)
    found = costs_of(on("pruned.pt"), tmp_path, runtime=runtime)
    assert found.parameters == left < whole.parameters
    assert found.macs < whole.macs


def test_another_file_in_its_place_is_another_network(tmp_path: Path) -> None:
    """What was remembered of the one before does not count."""
    counts = []
    for ratio in (0.3, 0.6):
        left = write_pruned(tmp_path / "pruned.pt", ratio)
        counts.append(costs_of(on("pruned.pt"), tmp_path).parameters)
        assert counts[-1] == left
    assert counts[0] > counts[1]


def test_a_file_that_is_not_to_be_had_is_named(tmp_path: Path) -> None:
    """Outside of what the worker may read, gone, or no weights: nothing else is measured."""
    inside = tmp_path / "inside"
    inside.mkdir()
    write_pruned(tmp_path / "outside.pt", 0.5)
    for name in ("gone.pt", str(tmp_path / "outside.pt")):
        with pytest.raises(
            WeightsUnavailable, match=r"does not exist under this worker's allowed roots"
        ):
            costs_of(on(name), inside)
    (inside / "broken.pt").write_text("<html>")
    with pytest.raises(TrainingError, match=r"broken\.pt"):
        costs_of(on("broken.pt"), inside)
