"""`init` and `check-data` read as training does: what one refuses, the others do not accept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.training import samples
from tuner.cli.app import app
from tuner.cli.init.survey import survey

MASK = np.resize(np.arange(3, dtype=np.uint8), (40, 60))
RED, GREEN = [0, 0, 0, 250, 0, 0, 0, 250, 0], [0, 0, 0, 0, 250, 0, 250, 0, 0]


def lossy(base: Path) -> None:
    """A mask that is a JPEG."""
    Image.fromarray(MASK * 20).save(base / "labels" / "train" / "000.png", format="JPEG")


def pages(base: Path) -> None:
    """A mask of two pages."""
    stack = np.stack([MASK, MASK])
    tifffile.imwrite(base / "labels" / "train" / "000.png", stack, photometric="minisblack")


def palettes(base: Path) -> None:
    """Masks whose palettes differ."""
    for name, colours in (("000", RED), ("001", GREEN)):
        image = Image.frombytes("P", (60, 40), MASK.tobytes())
        image.putpalette(colours)
        image.save(base / "labels" / "train" / f"{name}.png")


def turned(base: Path) -> None:
    """An image on its side, whose mask is not."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = base / "images" / "train" / "000.png"
    Image.fromarray(np.zeros((40, 60, 3), dtype=np.uint8)).save(path, exif=exif)


def deep(base: Path) -> None:
    """An image of 16 bits in colour."""
    stored = np.zeros((40, 60, 3), dtype=np.uint16)
    tifffile.imwrite(base / "images" / "train" / "000.png", stored, photometric="rgb")


def truncated(base: Path) -> None:
    """A mask that is cut off."""
    path = base / "labels" / "train" / "000.png"
    path.write_bytes(path.read_bytes()[:-60])


def half_clear(base: Path) -> None:
    """A mask of which a part is transparent."""
    layers = [MASK, MASK, MASK, MASK]
    Image.fromarray(np.dstack(layers)).save(base / "labels" / "train" / "000.png")


FAULTS: tuple[tuple[Callable[[Path], None], str], ...] = (
    (lossy, "000.png: is compressed as JPEG"),
    (pages, "000.png: holds 2 images"),
    (palettes, "the masks' palettes differ"),
    (turned, "000.png is turned by its EXIF tag (orientation 6)"),
    (deep, "000.png: 3 channels of uint16 hold more than 8 bits"),
    (truncated, "000.png: cannot be read"),
    (half_clear, "000.png: the mask is transparent"),
)


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_fault_is_reported_in_the_same_words_everywhere(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    """By `init` as a warning, by `check-data` as the reason to stop."""
    base = samples.write_folder(tmp_path)
    spoil(base)
    found = survey(base)
    assert any(words in each for each in (*found.unreadable, *found.odd_sizes))

    dataset = samples.folder().model_dump(exclude_defaults=True)
    dataset |= {"format": "folder", "classes": list(samples.CLASSES), "size": list(samples.SIZE)}
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({"name": "s", "dataset": dataset}))
    runner = CliRunner(env={"SEGTUNE_HOME": str(tmp_path / "home")})
    done = runner.invoke(app, ["check-data", str(study), "--data-root", str(tmp_path)])
    assert done.exit_code == 2, done.output
    assert words in done.output


def test_litter_is_left_out_everywhere(tmp_path: Path) -> None:
    """Hidden files are neither pairs nor unpaired."""
    base = samples.write_folder(tmp_path)
    for name in ("._000.png", ".ipynb_checkpoints/000.png", "__MACOSX/000.png"):
        path = base / "images" / "train" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    found = survey(base)
    assert (found.count("train"), found.unreadable) == (3, ())
    assert found.layout.splits["train"].unpaired == ()
