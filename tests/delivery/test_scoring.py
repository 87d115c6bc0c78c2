"""Scores of a part: training's own confusion matrix, and what else is counted beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.delivery.scenes import Known, by_red, coarse, mask, part
from tests.training import samples
from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.robustness import SHIFTS, disturb, passes
from tuner.delivery.evaluation.scoring import (
    Pass,
    check_channels,
    check_classes,
    confusion,
    score,
)
from tuner.delivery.trained import open_model
from tuner.errors import InvalidInput
from tuner.training.data.load import load
from tuner.training.data.parts import open_part
from tuner.training.ignore import IGNORE
from tuner.training.train import train


def test_the_validation_split_scores_what_training_reported(tmp_path: Path) -> None:
    """To the last count, with labels that are not of the network's size."""
    samples.write_folder(tmp_path, train=4, val=3)
    config = samples.config().model_copy(update={"dataset": samples.folder()})
    places: dict[str, Any] = {"cache": tmp_path / "cache", "roots": (tmp_path,)}
    reports = samples.Reports()
    train(config, load(config.dataset, **places), reports, folder=tmp_path / "model")
    reported = reports.reports[-1]

    opened = open_model(tmp_path / "model/model.pt")
    found = score(Pass(opened, open_part(config.dataset, "val", **places), at_once=2))

    assert found.confusion == reported.confusion
    assert len(found.images) == 3


def test_pixels_are_counted_by_label_and_prediction(tmp_path: Path) -> None:
    """Every pixel of every image once, those that are ignored nowhere."""
    masks = [mask(seed=seed) for seed in range(3)]
    found = score(Pass(Known(by_red), part(tmp_path, masks)))
    counts = np.bincount(np.concatenate([each.ravel() for each in masks]), minlength=256)
    assert np.array_equal(np.array(found.confusion), np.diag(counts[:3]))
    assert sum(found.calibration.pixels) == counts[:3].sum()
    assert found.boundaries.mean_f_score == found.boundaries.mean_iou == 1.0


def test_an_image_without_a_label_is_in_no_ranking(tmp_path: Path) -> None:
    """Nothing can be said of it; the others count."""
    void = np.full((24, 32), IGNORE, dtype=np.uint8)
    found = score(Pass(Known(by_red), part(tmp_path, [void, mask()])))
    assert [each.name for each in found.images] == ["scene1"]


def test_images_at_once_change_nothing_but_time(tmp_path: Path) -> None:
    """One by one, in pairs, or all together; and where memory lacks, fewer."""
    scene = part(tmp_path, [mask(seed=seed) for seed in range(5)])
    tired = 0

    def narrow(images: Tensor) -> Tensor:
        nonlocal tired
        if len(images) > 2:
            tired += 1
            raise torch.OutOfMemoryError("out of memory")
        return coarse(images)

    found = [
        score(Pass(Known(of), scene, at_once=n)).confusion
        for of, n in ((coarse, 1), (coarse, 2), (coarse, 9), (narrow, 5))
    ]
    assert found == [found[0]] * 4
    assert tired == 2


def test_a_model_of_other_classes_or_channels_is_refused() -> None:
    """The message names both, and what to do; other names at the same places are a note."""
    with pytest.raises(InvalidInput, match=r"has 2 classes \(a, b\).*has 3 \(sky.*--data"):
        check_classes(Known(classes=("a", "b")), samples.CLASSES)
    with pytest.raises(InvalidInput, match="another order"):
        check_classes(Known(classes=("road", "sky", "car")), samples.CLASSES)
    with pytest.raises(InvalidInput, match=r"takes images of 3 channels.*have 4"):
        check_channels(Known(), 4)
    check_channels(Known(), 3)
    assert check_classes(Known(), samples.CLASSES) == ()
    (note,) = check_classes(Known(classes=("sky", "street", "car")), samples.CLASSES)
    assert "'street', there 'road'" in note


def test_a_change_is_made_before_the_model_looks(tmp_path: Path) -> None:
    """An image without its red is all class 0."""
    scene = part(tmp_path, [mask()])
    found = confusion(Pass(Known(by_red), scene), lambda image, index: image * np.uint8(0))
    assert sum(row[0] for row in found) == sum(map(sum, found))


def test_a_local_model_moves_with_the_image(tmp_path: Path) -> None:
    """Mirrored or moved, each pixel keeps its class; every image is looked at as often as said."""
    seen = []
    scene = part(tmp_path, [mask(seed=seed) for seed in range(2)])
    run = Pass(Known(by_red), scene, at_once=2, tick=lambda: seen.append(1))
    found = disturb(run)
    assert [each.share for each in found.consistency] == [1.0] * (2 + len(SHIFTS))
    assert len(seen) == 2 * passes()
    assert len(found.corruptions) == 6


def test_a_model_that_knows_places_does_not(tmp_path: Path) -> None:
    """Classes by column: mirrored, they change; the share can be counted by hand."""

    def by_column(images: Tensor) -> Tensor:
        side = (torch.arange(images.shape[-1]) < 8).float().expand(len(images), 1, 24, -1)
        return torch.cat([side, 1 - side, -side - 1], dim=1)

    whole = np.zeros((24, 32), dtype=np.uint8)
    whole[:, -4:] = IGNORE
    found = disturb(Pass(Known(by_column), part(tmp_path, [whole])))
    shares = {each.change: each.share for each in found.consistency}
    assert shares["mirrored top to bottom"] == 1.0
    # Columns 0-7 change, and 24-31; of the latter 28-31 are ignored.
    assert shares["mirrored left to right"] == pytest.approx(1 - (8 + 4) / 28)
    # Column 7 was of class 0, and at its new place, 9, it is of class 1; so is column 6 at 8.
    assert shares["moved by 2 pixels"] == pytest.approx(1 - 2 / 28)


def test_windows_are_disturbed_at_the_original_size(tmp_path: Path) -> None:
    """What moves is the image that inference begins with."""
    scene = part(tmp_path, [mask(48, 64, 1)])
    found = disturb(Pass(Known(by_red), scene, Inference("sliding"), at_once=4))
    assert min(each.share for each in found.consistency) == 1.0
