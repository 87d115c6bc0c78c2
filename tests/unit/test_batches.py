"""Batches that no trial can be trained with are refused at submission."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import document, few
from tuner.configs import single_value
from tuner.configs.checks import parse
from tuner.configs.checks.batches import training_images
from tuner.errors import InvalidSpec, Location
from tuner.spec.config import DatasetConfig, TrainingConfig

CNN = {"decoder": "cnn", "encoder": "resnet18"}
DEEPLAB = {"decoder": "deeplabv3", "encoder": "resnet18"}


def mistakes(
    model: dict[str, Any],
    training: dict[str, Any],
    space: dict[str, Any] | None = None,
    **dataset: Any,
) -> dict[Location, str]:
    """Location → message of every problem of a study of this network and batch."""
    given_ = {"format": "synthetic", "size": [32, 48], **dataset}
    base = {"model": model, "training": {"epochs": 1, **training}}
    try:
        parse(document(dataset=given_, base=base, space=space or {}))
    except InvalidSpec as error:
        return {problem.location: problem.message for problem in error.problems}
    return {}


BATCH: Location = ("base", "training", "batch_size")
MICRO: Location = ("base", "training", "micro_batch")
SPACE: Location = ("space", "training.batch_size", 0)


@pytest.mark.parametrize(
    ("model", "training", "dataset", "place", "message"),
    [
        (DEEPLAB, {"batch_size": 1}, {}, BATCH, "training.batch_size is 1, and the image pooling"),
        (DEEPLAB, {"batch_size": 2, "micro_batch": 1}, {}, MICRO, "micro_batch is 1 of a batch"),
        (DEEPLAB, {"batch_size": 3, "micro_batch": 2}, {}, MICRO, "leaves a part of one image"),
        (DEEPLAB, {"batch_size": 4, "micro_batch": 2}, {}, None, ""),
        (DEEPLAB, {"batch_size": 1, "micro_batch": 4}, {}, BATCH, "training.batch_size is 1"),
        ({**DEEPLAB, "norm": "group"}, {"batch_size": 1}, {}, None, ""),
        ({**DEEPLAB, "norm": "frozen"}, {"batch_size": 1}, {}, None, ""),
        (CNN, {"batch_size": 1}, {}, None, ""),
        (CNN, {"batch_size": 1}, {"size": [16, 16]}, BATCH, "resnet18 turns an image of 16×16"),
        (CNN, {"batch_size": 1}, {"size": [32, 32]}, BATCH, "at its stride of 32"),
        (CNN, {"batch_size": 1}, {"size": [32, 33]}, None, ""),
        (CNN, {"batch_size": 2}, {"size": [16, 16]}, None, ""),
        ({**CNN, "output_stride": 16}, {"batch_size": 1}, {"size": [32, 32]}, None, ""),
        ({**CNN, "freeze_epochs": 1}, {"batch_size": 1}, {"size": [32, 32]}, None, ""),
        ({"encoder": "hrnet_w18_small"}, {"batch_size": 1}, {"size": [32, 32]}, BATCH, "hrnet"),
        ({**CNN, "encoder": "mit_b0"}, {"batch_size": 1}, {"size": [16, 16]}, None, ""),
        (CNN, {"batch_size": 65}, {}, BATCH, "split has 64 images; use 64 or less"),
        (CNN, {"batch_size": 64}, {}, None, ""),
        (CNN, {"batch_size": 8}, {"train": 8, "holdout": 0.1}, BATCH, "has 7 images"),
        (CNN, {"batch_size": 8}, {"train": 8, "subset": 0.5}, BATCH, "has 4 images"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    model: dict[str, Any],
    training: dict[str, Any],
    dataset: dict[str, Any],
    place: Location | None,
    message: str,
) -> None:
    """At the key to change, with the cause, and only where a trial would fail."""
    found = mistakes(model, training, **dataset)
    if place is None:
        assert found == {}
    else:
        assert message in found[place]


@pytest.mark.parametrize(
    ("norm", "batch", "micro", "said"),
    [
        ("batch", 4, None, "batch_size is 4, of which each of 4 GPUs may get one image"),
        ("batch", 7, None, "each of 4 GPUs may get one image, and the image pooling"),
        ("batch", 8, None, ""),
        ("batch", 8, 1, "training.micro_batch is 1 of a batch of 8"),
        ("batch", 12, 2, "which leaves a part of one image"),
        ("batch", 9, 2, "which leaves a part of one image"),
        ("sync", 4, None, ""),
        ("sync", 8, 1, ""),
        ("group", 4, None, ""),
    ],
)
def test_gpus_that_get_one_image_are_refused(
    norm: str, batch: int, micro: int | None, said: str
) -> None:
    """Their batch norms would see it alone, unless they are in step."""
    given_ = {"format": "synthetic", "size": [32, 48]}
    training = {"epochs": 1, "batch_size": batch, "micro_batch": micro}
    base = {"model": {**DEEPLAB, "norm": norm}, "training": training}
    try:
        parse(document(dataset=given_, base=base, space={}, resources={"gpus": 4}))
        found = ""
    except InvalidSpec as error:
        found = " ".join(problem.message for problem in error.problems)
    assert (said in found) if said else not found


def test_a_space_is_tried_at_its_corners() -> None:
    """Under every combination of what is drawn, and where the document says it."""
    assert (
        "batch_size is 1"
        in mistakes(DEEPLAB, {}, {"training.batch_size": {"choice": [1, 2]}})[SPACE]
    )
    assert (
        "batch_size is 1" in mistakes(DEEPLAB, {}, {"training.batch_size": {"int": [1, 8]}})[SPACE]
    )
    both = {
        "training.batch_size": {"choice": [1, 2]},
        "model.decoder": {"choice": ["cnn", "deeplabv3plus"]},
    }
    assert "image pooling of deeplabv3plus" in mistakes(CNN, {}, both)[SPACE]
    drawn = {"model.norm": {"choice": ["batch", "group"]}}
    found = mistakes(DEEPLAB, {"batch_size": 1}, drawn)
    assert list(found) == [("space", "model.norm", 0)]
    assert mistakes(CNN, {}, {"training.batch_size": {"choice": [4, 99]}})[SPACE].endswith(
        "or less"
    )


def test_a_condition_keeps_them_apart() -> None:
    """One image at once is fine for the decoders that take it."""
    space = {
        "model.decoder": {"choice": ["cnn", "deeplabv3"]},
        "training.batch_size": [
            {"choice": [1, 2], "when": {"model.decoder": "cnn"}},
            {"choice": [2, 4], "when": {"model.decoder": "deeplabv3"}},
        ],
    }
    assert mistakes(CNN, {}, space) == {}


@few
@given(batch=st.integers(1, 64), micro=st.integers(1, 64))
def test_the_smallest_part_is_counted(batch: int, micro: int) -> None:
    """As torch's tensor_split divides a batch into parts of at most that many."""
    count = -(-batch // micro)
    parts = [batch // count + (place < batch % count) for place in range(count)]
    assert sum(parts) == batch
    assert max(parts) <= micro
    alone = single_value.single(TrainingConfig(batch_size=batch, micro_batch=micro))
    assert (alone is not None) == (min(parts) == 1)


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ({}, 64),
        ({"train": 10}, 10),
        ({"train": 10, "holdout": 0.25}, 8),
        ({"train": 10, "val": 5, "fold": [0, 5]}, 12),
        ({"train": 10, "val": 5, "fold": [0, 4]}, 11),
        ({"train": 10, "val": 5, "fold": [0, 5], "holdout": 0.1}, 8),
        ({"train": 10, "subset": 0.01}, 1),
        ({"format": "folder", "root": "x"}, None),
    ],
)
def test_drawn_images_are_counted(options: dict[str, Any], images: int | None) -> None:
    """Formats that draw say how many; files have to be looked at."""
    given_ = {"format": "synthetic", "classes": ["a", "b"], "size": [16, 16], **options}
    assert training_images(DatasetConfig.model_validate(given_)) == images


@pytest.mark.parametrize(
    ("norm", "batch", "said"),
    [
        ("group", [2, 8], "batch_size is 2, and resources.gpus is 4: each GPU needs an image"),
        ("sync", [6, 8], "batch_size is 6, and resources.gpus is 4: model.norm: sync wants equal"),
        ("group", [6, 8], None),
        ("sync", [4, 8], None),
    ],
)
def test_the_gpus_of_a_trial_share_its_batch(norm: str, batch: list[int], said: str | None) -> None:
    """A batch that leaves one without an image, or shares unequal, is refused where it is drawn."""
    given_ = document(
        dataset={"format": "synthetic", "size": [32, 48]},
        base={"model": {**CNN, "norm": norm}, "training": {"epochs": 1}},
        space={"training.batch_size": {"choice": batch}},
        resources={"gpus": 4},
    )
    if said is None:
        assert parse(given_).resources.gpus == 4
        return
    with pytest.raises(InvalidSpec, match=said) as raised:
        parse(given_)
    assert [problem.location for problem in raised.value.problems] == [SPACE]
