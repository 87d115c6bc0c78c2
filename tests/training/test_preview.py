"""The sheet of training samples: what it shows, and that drawing it disturbs nobody."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.training import samples
from tuner.configs.colours import colours
from tuner.training.data.load import Data
from tuner.training.ignore import IGNORE
from tuner.training.preview.sheet import Look, described, sheet, write

SMALL = Look(samples=2, epochs=1, cell=96)


def test_a_sheet_grows_with_its_cells(scenes: Data) -> None:
    """Every sample is a row and every epoch a column."""
    one = sheet(samples.config(), scenes.train, Look(samples=1, epochs=1, cell=96))
    more = sheet(samples.config(), scenes.train, Look(samples=2, epochs=2, cell=96))
    assert more.width > one.width + 90
    assert more.height > one.height + 60


def test_drawing_takes_nothing_from_any_generator(scenes: Data) -> None:
    """A trial may train meanwhile: its dropout is what it would have been."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = sheet(samples.config(), scenes.train, SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.tobytes() == sheet(samples.config(), scenes.train, SMALL).tobytes()


def test_mixed_samples_are_drawn(scenes: Data) -> None:
    """Partners come from the whole split."""
    config = samples.config({"augment.cutmix": 1.0, "augment.flip": 0.0})
    other = samples.config({"augment.flip": 0.0})
    sheets = [sheet(each, scenes.train, SMALL) for each in (config, other)]
    assert sheets[0].tobytes() != sheets[1].tobytes()


def test_what_is_on_is_named() -> None:
    """Augmentations that are off are left out, and so is a scale of one."""
    config = samples.config({"augment.scale": [1.0, 1.0], "augment.colour": 0.0})
    assert described(config) == "flip 0.5 · rotate 10"


def test_every_format_is_written(scenes: Data, tmp_path: Path) -> None:
    """The suffix says which."""
    drawn = sheet(samples.config(), scenes.train, SMALL)
    for name, kind in (("a.png", "PNG"), ("b.webp", "WEBP"), ("c.jpg", "JPEG")):
        write(tmp_path / name, drawn)
        with Image.open(tmp_path / name) as written:
            assert (written.format, written.size) == (kind, drawn.size)
    assert len(list(tmp_path.iterdir())) == 3


def test_colours_differ() -> None:
    """No two classes look the same, however many there are."""
    many = np.array(colours(IGNORE), dtype=np.int64)
    apart = np.abs(many[:20, None] - many[None, :20]).sum(axis=2) + 1000 * np.eye(20)
    assert len({tuple(colour) for colour in many.tolist()}) == IGNORE
    assert apart.min() > 40
