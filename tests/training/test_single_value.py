"""A trial whose batch norm gets one value per channel ends with the real cause and what to do."""

from typing import Any

import pytest

from tests.training import samples
from tuner.configs.resolve import resolve
from tuner.errors import OutOfMemory, TrainingError
from tuner.spec.config import Recipe
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.train import optimizer_step
from tuner.training.train_state import TrainState

RESIDUAL = {"model.decoder": "cnn", "model.encoder": "resnet18", "model.mid_channels": 8}


def step(scenes: Data, params: dict[str, Any], context: DeviceContext | None = None) -> None:
    """One optimizer step of `samples.config()` with these values."""
    config = samples.config(params)
    context = context or DeviceContext()
    state = TrainState(config, scenes, context, 1)
    state.may_shrink = context.memory_mb is not None
    optimizer_step(state, *Batches(scenes.train, config, "cpu").batch(1, 0), 0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"training.batch_size": 1}, "^training.batch_size is 1, and the image pooling of deeplab"),
        ({"training.micro_batch": 1}, "^training.micro_batch is 1 of a batch of 2, and the image"),
        (
            {"training.batch_size": 3, "training.micro_batch": 2},
            "^training.micro_batch is 2 of a batch of 3, which leaves a part of one image, and",
        ),
    ],
)
def test_the_cause_is_named(scenes: Data, params: dict[str, Any], message: str) -> None:
    """Whether the batch or a part of it was one image, the message says so."""
    with pytest.raises(TrainingError, match=f"{message}.*model.norm: group or frozen"):
        step(scenes, params)


@pytest.mark.parametrize("norm", ["group", "frozen"])
def test_other_norms_train_with_one_image(scenes: Data, norm: str) -> None:
    """As the message promises."""
    step(scenes, {"training.batch_size": 1, "model.norm": norm})


def test_a_size_that_ends_in_one_pixel_is_named(scenes: Data) -> None:
    """Two images at once pass, one does not; the network, the size and the stride are told."""
    config = resolve(
        Recipe.model_validate({"training": {"batch_size": 1}}),
        samples.synthetic(size=(32, 32)),
        RESIDUAL,
    )
    state = TrainState(config, scenes, DeviceContext(), 1)
    images, labels = Batches(scenes.train, config, "cpu").batch(1, 0)
    with pytest.raises(TrainingError, match="resnet18 turns an image of 32×32 into one pixel"):
        optimizer_step(state, images[..., :32, :32], labels[..., :32, :32], 0)
    both, other = images.repeat(2, 1, 1, 1), labels.repeat(2, 1, 1)
    state.micro_batch = 2
    optimizer_step(state, both[..., :32, :32], other[..., :32, :32], 0)


def test_memory_for_one_image_is_the_cause_where_it_is(scenes: Data) -> None:
    """Halving came down to one image, which this network cannot learn from."""
    params = {"training.batch_size": 2, "model.encoder": "mobilenet_v2"}
    with pytest.raises(OutOfMemory, match=r"memory holds 1 at once of a batch of 2"):
        step(scenes, params, DeviceContext(memory_mb=10))


def test_an_image_left_over_is_no_batch(scenes: Data) -> None:
    """Seven images in batches of two, three or six leave one, which waits for the next epoch."""
    for size in (2, 3, 6):
        batches = Batches(scenes.train, samples.config({"training.batch_size": size}), "cpu")
        assert batches.per_epoch == 7 // size
        for position in range(batches.per_epoch):
            assert len(batches.batch(1, position)[0]) == size
