"""Two configs have one signature exactly where they build the same network."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import DATASET
from tests.unit.samples import few
from tuner.configs.architecture import signature
from tuner.configs.resolve import resolve
from tuner.spec.config import DatasetConfig, Recipe, TrialConfig

NETWORKS: dict[str, list[Any]] = {
    "model.decoder": ["ocr", "fcn", "deeplabv3plus"],
    "model.encoder": ["resnet18", "resnet34"],
    "model.norm": ["batch", "group"],
    "model.output_stride": [8, 16],
}
TRAININGS: dict[str, list[Any]] = {
    "model.weights": ["none", "pretrained"],
    "model.aux_weight": [0.0, 0.4],
    "model.freeze_epochs": [0, 3],
    "model.encoder_lr": [0.1, 1.0],
    "model.dropout": [0.1, 0.3],
    "optimizer.lr": [0.01, 0.1],
    "loss.name": ["cross_entropy", "dice"],
    "training.batch_size": [4, 8],
    "training.epochs": [5, 9],
    "augment.rotate": [0, 10],
}


def config(params: dict[str, Any], *, seed: int = 0, **dataset: Any) -> TrialConfig:
    """The config of a trial with these params."""
    data = DatasetConfig.model_validate({**DATASET, "size": [64, 64], **dataset})
    return resolve(Recipe(), data, params, seed=seed)


def drawn(choices: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One value for each path."""
    return st.fixed_dictionaries({path: st.sampled_from(found) for path, found in choices.items()})


@few
@given(drawn(NETWORKS), drawn(TRAININGS), drawn(TRAININGS), st.integers(0, 9))
def test_how_a_network_is_trained_is_not_part_of_it(
    network: dict[str, Any], one: dict[str, Any], other: dict[str, Any], seed: int
) -> None:
    """Weights, rates, losses, dropout, seeds and epochs leave a network what it is."""
    assert signature(config({**network, **one})) == signature(
        config({**network, **other}, seed=seed)
    )


@few
@given(drawn(NETWORKS), drawn(NETWORKS), drawn(TRAININGS))
def test_another_network_has_another_signature(
    one: dict[str, Any], other: dict[str, Any], training: dict[str, Any]
) -> None:
    """Encoder, decoder, norm and output stride each make another one."""
    same = signature(config({**one, **training})) == signature(config({**other, **training}))
    assert same == (one == other)


@pytest.mark.parametrize(
    ("dataset", "is_same"),
    [
        ({"size": [32, 96]}, True),
        ({"ignore_index": 254}, True),
        ({"subset": 0.5}, True),
        ({"classes": ["street", "bus"]}, True),
        ({"classes": ["road", "car", "bus"]}, False),
        ({"format": "folder", "root": "streets"}, False),
    ],
)
def test_of_a_data_set_classes_and_images_count(dataset: dict[str, Any], is_same: bool) -> None:
    """The number of classes makes the last layer, the images the first one."""
    params = {"model.encoder": "resnet18", "model.decoder": "fcn"}
    assert is_same == (signature(config(params)) == signature(config(params, **dataset)))


def test_a_frozen_norm_is_a_batch_norm() -> None:
    """It differs in training alone."""
    params = {"model.encoder": "resnet18", "model.decoder": "fcn"}
    frozen, group = ({**params, "model.norm": norm} for norm in ("frozen", "group"))
    assert signature(config(params)) == signature(config(frozen))
    assert signature(config(params)) != signature(config(group))


def test_weights_of_a_file_may_be_of_a_smaller_network() -> None:
    """A file may hold a pruned network, so that it counts as one of its own."""
    whole, pruned = (
        config({"model.weights": weights}) for weights in ("pretrained", "pruned/model.pt")
    )

    assert signature(whole) != signature(pruned)
