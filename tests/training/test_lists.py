"""Lists of names that were written on other systems."""

from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from tests.training import samples
from tuner.errors import DataError
from tuner.training.data import lists
from tuner.training.data.load import load

NAMES = [["2007_1"], ["Größe 2"]]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_are_no_names(tmp_path: Path, coding: str, end: str) -> None:
    """Windows writes both, PowerShell in two bytes per sign."""
    text = end.join(["2007_1", "", "  Größe 2  ", ""])
    (tmp_path / "a.txt").write_bytes(text.encode(coding))
    assert lists.lines(tmp_path / "a.txt") == NAMES


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a/b c.jpg d/b c.png", ["a/b c.jpg", "d/b c.png"]),
        ("\\JPEGImages\\a.jpg \\Masks\\a.png", ["/JPEGImages/a.jpg", "/Masks/a.png"]),
        ("a\tb", ["a", "b"]),
    ],
)
def test_two_names_on_a_line_are_parted_after_the_type(
    tmp_path: Path, line: str, names: list[str]
) -> None:
    """Names may hold blanks; folders may be written with backslashes."""
    (tmp_path / "a.txt").write_text(line, encoding="utf-8")
    assert lists.lines(tmp_path / "a.txt") == [names]


def test_another_coding_is_refused(tmp_path: Path) -> None:
    """A name is not guessed."""
    (tmp_path / "a.txt").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(DataError, match=r"a.txt: is not text in UTF-8 .* at byte 2"):
        lists.lines(tmp_path / "a.txt")


def test_a_list_finds_files_in_any_unicode_form(tmp_path: Path) -> None:
    """The list is of one system, the files are of another."""
    for folder, pixels in (("JPEGImages", (40, 60, 3)), ("SegmentationClass", (40, 60))):
        kind = "jpg" if len(pixels) == 3 else "png"
        for number in (1, 2):
            path = tmp_path / "set" / folder / f"{normalize('NFD', f'Größe {number}')}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros(pixels, dtype=np.uint8)).save(path)
    named = tmp_path / "set" / "ImageSets" / "Segmentation"
    named.mkdir(parents=True)
    for number, split in enumerate(("train", "val"), start=1):
        (named / f"{split}.txt").write_bytes(f"\ufeffGröße {number}\r\n".encode())
    config = samples.folder(format="voc")
    loaded = load(config, cache=tmp_path / "cache", roots=(tmp_path,))
    assert (loaded.train.names, loaded.val.names) == (("Größe 1",), ("Größe 2",))


def test_an_image_that_is_listed_twice_is_named(tmp_path: Path) -> None:
    """It would count twice in training and in scores."""
    for kind in ("ImageSets/Segmentation/train.txt", "ImageSets/Segmentation/val.txt"):
        path = tmp_path / "set" / kind
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\nb\na\n")
    with pytest.raises(DataError, match=r"train\.txt names images more than once: 1 \(.*/a\.jpg\)"):
        load(samples.folder(format="voc"), cache=tmp_path / "cache", roots=(tmp_path,))
