"""The report on a data set counts what is there and says what is odd."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.training import samples
from tuner.cli.app import app
from tuner.errors import DataError
from tuner.spec.metrics import compute, derive
from tuner.training.data import load as data
from tuner.training.data.inspection import DataReport, report
from tuner.training.data.load import Data


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the folder data set at the size of its files."""
    config = samples.folder(size=[40, 60], **options)
    return data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))


def look(tmp_path: Path, **options: Any) -> DataReport:
    """The report on the folder data set."""
    return report(load(tmp_path, **options), samples.folder(size=[40, 60], **options))


def test_classes_are_counted(tmp_path: Path) -> None:
    """Shares are of labelled pixels; images are those that show the class."""
    base = samples.write_folder(tmp_path, train=2, val=1)
    mask = np.zeros((40, 60))
    mask[:10], mask[10:20] = 255, 1
    samples.write_pair(base, "train", "000", mask)
    samples.write_pair(base, "train", "001", np.full((40, 60), 1))
    found = look(tmp_path)
    assert [each.train_share for each in found.classes] == pytest.approx([12 / 42, 30 / 42, 0])
    assert [each.train_images for each in found.classes] == [1, 2, 0]
    assert found.ignored == pytest.approx((0.125, 0))
    assert (found.train, found.val, found.channels, found.dtype) == (2, 1, 3, "uint8")
    assert found.label_sizes == ((40, 60),)


def test_oddities_are_reported(tmp_path: Path) -> None:
    """Classes that cannot be learned or scored, ignored pixels, and leaks between the splits."""
    base = samples.write_folder(tmp_path, train=1, val=1)
    mask = np.full((40, 60), 255)
    mask[0, :10] = 1
    samples.write_pair(base, "train", "000", mask)
    samples.write_pair(base, "val", "000", np.zeros((40, 60)))
    text = "\n".join(look(tmp_path).warnings)
    assert "'sky' is in no training image" in text
    assert "'road' is in no validation image: recall.road has no value" in text
    assert "'sky' is in no training image and cannot be learned; its IoU of 0 counts" in text
    assert "'car' is in no image" in text
    assert "100% of the training pixels are ignored" in text
    assert "1 validation image found among the training images" in text


def test_what_is_said_of_absent_classes_is_what_the_metric_does() -> None:
    """A class without a label has no recall, and an IoU of 0 in the mean once it is predicted."""
    classes = ("sky", "road")
    unseen, predicted = ((4, 0), (0, 0)), ((3, 1), (0, 0))
    assert compute("recall.road", predicted, classes) is None
    assert derive(unseen, classes)["miou"] == 1.0
    assert derive(predicted, classes)["miou"] == (3 / 4 + 0) / 2
    assert derive(predicted, classes)["iou.worst"] == 0.0


def test_a_metric_that_the_split_cannot_define_is_reported(tmp_path: Path) -> None:
    """`check-data` says beforehand what would stop the study with its first report."""
    base = samples.write_folder(tmp_path)
    for index in range(2):
        samples.write_pair(base, "val", f"{index:03d}", np.zeros((40, 60)))
    file = study(tmp_path)
    document = yaml.safe_load(file.read_text())
    first, *_, last = samples.CLASSES
    document["objectives"] = [{"metric": f"iou.{last}"}, {"metric": f"recall.{first}"}]
    document["constraints"] = [{"metric": f"recall.{last}", "min": 0.1}]
    file.write_text(yaml.safe_dump(document))
    call = ["check-data", str(file), "--data-root", str(tmp_path)]
    done = CliRunner(env={"SEGTUNE_HOME": str(tmp_path / "home")}).invoke(app, call)
    assert done.exit_code == 0, done.output
    for metric in (f"iou.{last}", f"recall.{last}"):
        assert f"warning: {metric} cannot be measured: class '{last}' is in no" in done.output
    assert f"recall.{first} cannot be measured" not in done.output


def test_a_sound_data_set_gives_no_warning(tmp_path: Path) -> None:
    """Silence means that nothing was found."""
    base = samples.write_folder(tmp_path)
    for path in (base / "images" / "val").iterdir():
        Image.fromarray(np.full((40, 60, 3), int(path.stem) + 1, dtype=np.uint8)).save(path)
    assert look(tmp_path).warnings == ()


def colour_masks(base: Path) -> None:
    """The masks of `write_folder` as pictures: black, red, white."""
    colours = np.array([[0, 0, 0], [255, 0, 0], [255, 255, 255]], dtype=np.uint8)
    for path in (base / "labels").rglob("*.png"):
        with Image.open(path) as mask:
            pixels = colours[np.asarray(mask)]
        Image.fromarray(pixels).save(path)


def test_a_palette_reads_coloured_masks(tmp_path: Path) -> None:
    """Colours in the order of the classes give the labels; later ones are ignored."""
    base = samples.write_folder(tmp_path)
    plain = load(tmp_path).val.label(0)
    colour_masks(base)
    palette = [[0, 0, 0], [255, 0, 0], [255, 255, 255]]
    assert np.array_equal(load(tmp_path, palette=palette).val.label(0), plain)
    two = load(tmp_path, palette=palette, classes=["a", "b"])
    assert np.array_equal(two.val.label(0), np.where(plain == 2, 255, plain))


def test_colours_without_a_class_are_named(tmp_path: Path) -> None:
    """Without a palette it is offered; with one, what it lacks is listed."""
    colour_masks(samples.write_folder(tmp_path))
    with pytest.raises(DataError, match=r"of 3 colours \(\[0, 0, 0\].*palette: \[\[r, g, b\]"):
        load(tmp_path)
    palette = [[0, 0, 0], [255, 0, 0], [9, 9, 9]]
    with pytest.raises(DataError, match=r"1 colour that palette does not list: \[255, 255, 255\]"):
        load(tmp_path, palette=palette)


def study(tmp_path: Path) -> Path:
    """A study of the folder data set, as a file."""
    dataset = {"format": "folder", "root": "set", "classes": list(samples.CLASSES)}
    document = {
        "name": "s",
        "dataset": {**dataset, "size": [40, 60]},
        "objectives": [{"metric": "miou", "direction": "maximize"}],
        "base": {"training": {"batch_size": 2}},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_command_prints_the_report(tmp_path: Path) -> None:
    """`segtune check-data` counts classes; trouble in the files ends it with a message."""
    base = samples.write_folder(tmp_path)
    call = ["check-data", str(study(tmp_path)), "--data-root", str(tmp_path)]
    runner = CliRunner(env={"SEGTUNE_HOME": str(tmp_path / "home")})
    done = runner.invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "3 training and 2 validation images can be used" in done.output
    assert [line.split()[1] for line in done.output.splitlines() if "%  " in line] == [
        *samples.CLASSES
    ]
    samples.write_pair(base, "val", "001", np.full((40, 60), 9))
    done = runner.invoke(app, call)
    assert done.exit_code != 0
    assert "1 of 2 images cannot be used: 001: label 9" in done.output


@pytest.mark.parametrize(
    ("training", "space", "told"),
    [
        ({"batch_size": 4}, {}, "base.training.batch_size: batch_size is 4, but .* has 3 images"),
        (
            {"batch_size": 2},
            {"training.batch_size": {"choice": [2, 8]}},
            "space.training.batch_size.0: batch_size is 8",
        ),
        ({"batch_size": 3}, {}, None),
    ],
)
def test_the_command_refuses_batches_that_the_images_cannot_fill(
    tmp_path: Path, training: dict[str, int], space: dict[str, Any], told: str | None
) -> None:
    """After the report, with the key to change and what fits."""
    samples.write_folder(tmp_path)
    path = study(tmp_path)
    document = yaml.safe_load(path.read_text()) | {"base": {"training": training}, "space": space}
    path.write_text(yaml.safe_dump(document))
    runner = CliRunner(env={"SEGTUNE_HOME": str(tmp_path / "home")})
    done = runner.invoke(app, ["check-data", str(path), "--data-root", str(tmp_path)])
    assert "3 training and 2 validation images" in done.output
    assert (done.exit_code == 0) is (told is None)
    assert told is None or re.search(told, done.output)
