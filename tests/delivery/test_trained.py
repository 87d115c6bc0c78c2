"""A model file opens as the network that training left, without its data."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.delivery.models import write_model
from tests.training import samples
from tuner.delivery.trained import open_model
from tuner.errors import DataUnavailable, TrainingError, Unreadable
from tuner.training import saving
from tuner.training.data.load import Data, load
from tuner.training.determinism import DeviceContext
from tuner.training.evaluate import confusion
from tuner.training.train import train


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Give the scenes of the config."""
    return load(samples.config().dataset, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, scenes: Data) -> tuple[Path, tuple]:
    """Give a model file, and the confusion matrix that its training reported."""
    folder, reports = tmp_path_factory.mktemp("model"), samples.Reports()
    train(samples.config(), scenes, reports, folder=folder)
    matrix = reports.reports[-1].confusion
    assert matrix is not None
    return folder / "model.pt", matrix


def test_it_scores_what_training_reported(trained: tuple[Path, tuple], scenes: Data) -> None:
    """It scores what training reported, to the last count."""
    path, reported = trained
    opened = open_model(path)

    found = confusion(
        opened.network, scenes.val, context=DeviceContext(), determinism="exact", batch_size=2
    )

    assert found == reported
    assert opened.config == samples.config()
    assert opened.classes == samples.CLASSES
    assert opened.size == samples.SIZE
    assert opened.channels == 3


def test_its_logits_are_those_of_the_network(trained: tuple[Path, tuple], scenes: Data) -> None:
    """Its logits are the network's own."""
    opened = open_model(trained[0])
    images = torch.from_numpy(scenes.val.images).permute(0, 3, 1, 2).float()

    logits = opened.logits(images)

    assert torch.equal(logits, opened.network.coarse(images)[0])
    assert logits.shape[:2] == (2, 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(DataUnavailable, match=r"no model file .*gone\.pt"):
        open_model(tmp_path / "gone.pt")


def test_weights_without_a_config_are_no_model(tmp_path: Path) -> None:
    """A file of weights without a config is refused."""
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "weights.pt")
    with pytest.raises(TrainingError, match="not a model of segtune"):
        open_model(tmp_path / "weights.pt")


def test_a_truncated_file_is_refused(trained: tuple[Path, tuple], tmp_path: Path) -> None:
    """A truncated file is refused with its name."""
    cut = tmp_path / "model.pt"
    cut.write_bytes(trained[0].read_bytes()[:5_000])
    with pytest.raises(TrainingError, match=r"model\.pt"):
        open_model(cut)


def test_tensors_of_another_network_are_refused(
    trained: tuple[Path, tuple], tmp_path: Path
) -> None:
    """A file that lacks a tensor of its config's network is refused."""
    body = torch.load(trained[0], weights_only=True)
    del body["model"]["decoder." + next(iter(_decoder(body)))]
    saving.write(body, tmp_path / "other.pt")
    with pytest.raises(TrainingError, match="does not hold the network of its config"):
        open_model(tmp_path / "other.pt")


def _decoder(body: dict) -> list[str]:
    return [name.removeprefix("decoder.") for name in body["model"] if name.startswith("decoder.")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": [1, 2]}, "holds no tensors by name"),
        ({"model": {"mean": 5}}, "holds no tensors by name"),
        ({"model": {3: torch.zeros(1)}}, "holds no tensors by name"),
        ({"model": {}}, "does not hold the network of its config"),
        ({"model": {"mean": torch.zeros(0)}}, "does not hold the network of its config"),
        ({"config": "not JSON"}, "is not JSON"),
        ({"config": 3}, "cannot be read"),
        ({"config": "[1]"}, "cannot be read"),
        ({"config": '{"a": "\\u0000"}'}, "is not JSON that can be read"),
        ({"config": "\ud800"}, "is not JSON that can be read"),
        ({"pruning": {"x": 1}}, "'pruning'"),
        ({"pruning": [1]}, "'pruning'"),
        ({"pruning": {"ratio": 7.0, "scope": "layer", "classes": 3, "channels": 3}}, "ratio"),
    ],
)
def test_a_forged_file_is_refused_by_name(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """Whatever stands in the place of config, tensors or pruning: an error that names the file."""
    body = torch.load(write_model(tmp_path / "whole.pt"), weights_only=True)
    torch.save({**body, **changes}, tmp_path / "forged.pt")
    with pytest.raises((TrainingError, Unreadable), match=said) as caught:
        open_model(tmp_path / "forged.pt")
    assert "forged.pt" in str(caught.value)
