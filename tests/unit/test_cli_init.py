"""`segtune init`: what is found in a folder, what is decided, and a file that can be submitted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from tuner import submission
from tuner.cli.app import app
from tuner.cli.draft.document import render
from tuner.cli.draft.layout import Layout, Split, find_layout
from tuner.cli.draft.proposal import (
    choose_batches,
    choose_labels,
    choose_size,
    propose,
    valid_names,
)
from tuner.cli.draft.survey import Findings, survey
from tuner.errors import DataError

Make = Callable[..., Path]


def findings(
    pixels: dict[int, int],
    *,
    images: str = "images/{split}",
    pairs: int = 40,
    classes: tuple[str, ...] = (),
    size: tuple[int, int] = (360, 480),
) -> Findings:
    """What a survey of a folder with these labels gives."""
    words = ("train", "val") if "{split}" in images else ("",)
    files = tuple((f"i{index}.png", f"m{index}.png") for index in range(pairs))
    layout = Layout(images, "masks/{split}", {word: Split(word, files) for word in words})
    return Findings(
        layout,
        {size: pairs},
        pixels,
        dict.fromkeys(pixels, pairs),
        pairs,
        classes=classes,
        classes_file="classes.txt" if classes else None,
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes pairs of image and mask whose labels are the ones given."""

    def write(labels: list[int], folders: tuple[str, ...] = ("train", "val")) -> Path:
        values = np.resize(np.array(labels, dtype=np.uint8), (40, 64))
        for folder in folders:
            for kind in ("images", "labels"):
                (tmp_path / "data" / kind / folder).mkdir(parents=True)
            for index in range(4):
                picture = Image.fromarray(np.zeros((40, 64, 3), dtype=np.uint8))
                picture.save(tmp_path / "data" / "images" / folder / f"{index}.jpg")
                Image.fromarray(values).save(tmp_path / "data" / "labels" / folder / f"{index}.png")
        return tmp_path / "data"

    return write


@pytest.mark.parametrize(
    ("image", "mask", "patterns"),
    [
        ("images/train/a.jpg", "labels/train/a.png", ("images/{split}", "labels/{split}")),
        ("train/a.png", "trainannot/a.png", ("{split}", "{split}annot")),
        ("train/images/a.jpg", "train/masks/a.png", ("{split}/images", "{split}/masks")),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", ("JPEGImages", "SegmentationClass")),
        ("images/training/x/a.jpg", "gt/training/x/a.png", ("images/{split}", "gt/{split}")),
        ("images/x/a.jpg", "masks/x/a.png", ("images", "masks")),
    ],
)
def test_common_layouts_are_found(image: str, mask: str, patterns: tuple[str, str]) -> None:
    """Folders of images and masks become the patterns that the folder format takes."""
    layout = find_layout([image, mask])
    assert (layout.images, layout.masks) == patterns


def test_a_folder_without_pairs_says_what_is_expected() -> None:
    """The message gives what was found and what to call things."""
    with pytest.raises(DataError, match=r"labels/train/a\.png"):
        find_layout(["images/a.jpg", "masks/b.png"])


def test_an_image_without_mask_is_noticed() -> None:
    """It stands among the unpaired."""
    paths = ["images/train/a.jpg", "labels/train/a.png", "images/train/b.jpg"]
    assert find_layout(paths).splits["train"].unpaired == ("images/train/b.jpg",)


def test_a_folder_is_read_as_it_is(make: Make) -> None:
    """Sizes, labels and counts are those of the files."""
    found = survey(make([0, 1, 2, 255]))
    assert (dict(found.sizes), sorted(found.pixels), found.count("train")) == (
        {(40, 64): 8},
        [0, 1, 2, 255],
        4,
    )


@pytest.mark.parametrize(
    ("labels", "classes", "values", "ignore"),
    [
        ([0, 1, 2], 3, (0, 1, 2), 255),
        ([0, 1, 255], 2, (0, 1), 255),
        ([0, 255], 2, (0, 255), 255),
        ([0, 1, 250], 2, (0, 1), 250),
        ([0, 7, 8, 255], 3, (0, 7, 8), 255),
        ([0], 2, (0, 1), 255),
    ],
)
def test_labels_are_told_from_the_values_of_the_masks(
    labels: list[int], classes: int, values: tuple[int, ...], ignore: int
) -> None:
    """Black-and-white, gaps, a void label and a lone class each get what training needs."""
    found = choose_labels(findings(dict.fromkeys(labels, 100)))
    assert (len(found.classes), found.values, found.ignore) == (classes, values, ignore)


def test_a_label_beyond_the_class_file_is_ignored() -> None:
    """Eleven names and twelve labels: the twelfth is void."""
    names = tuple(f"name {index}" for index in range(11))
    found = choose_labels(findings(dict.fromkeys(range(12), 9), classes=names))
    assert (found.classes, found.ignore) == (names, 11)


def test_masks_that_are_pictures_are_refused() -> None:
    """A mask with thousands of values was not saved as an index mask."""
    with pytest.raises(DataError, match="PNG, not JPEG"):
        choose_labels(findings(dict.fromkeys(range(1001), 1)))


@given(names=st.lists(st.text(max_size=12), min_size=2, max_size=8))
def test_any_class_names_become_valid_ones(names: list[str]) -> None:
    """Names differ and hold no dot or comma, whatever the file says."""
    found = valid_names(tuple(names))
    assert len(set(found)) == len(found)
    assert not any(sign in name for name in found for sign in ".,\n")


@given(height=st.integers(1, 10_000), width=st.integers(1, 10_000))
def test_the_size_is_a_multiple_of_eight_that_fits(height: int, width: int) -> None:
    """Whatever the images, both sides are multiples of 8 and at least 32."""
    size = choose_size({(height, width): 1})
    assert all(side % 8 == 0 and side >= 32 for side in size)


@settings(max_examples=25, deadline=None)
@given(
    pixels=st.dictionaries(st.integers(0, 300), st.integers(1, 10**9), min_size=1, max_size=30),
    images=st.sampled_from(["images/{split}", "images", "[{split}] & 'bilder'"]),
    pairs=st.integers(1, 5000),
    classes=st.lists(st.text(min_size=1, max_size=8), max_size=20).map(tuple),
    size=st.tuples(st.integers(16, 4000), st.integers(16, 4000)),
)
def test_every_proposal_can_be_submitted(
    pixels: dict[int, int],
    images: str,
    pairs: int,
    classes: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    """The file that is written passes the server's own check."""
    found = findings(pixels, images=images, pairs=pairs, classes=classes, size=size)
    text = render(propose(found, "my-study", "data: #1"))
    assert submission.parse(yaml.safe_load(text)).dataset.options["root"] == "data: #1"


def test_the_command_writes_a_study_and_keeps_an_old_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file parses; a second run does not overwrite it unless told to."""
    monkeypatch.chdir(tmp_path)
    folder = str(make([0, 1, 2]))
    codes = [
        CliRunner().invoke(app, ["init", folder, *flags]).exit_code
        for flags in ([], [], ["--force"])
    ]
    study = submission.parse(yaml.safe_load((tmp_path / "study.yaml").read_text()))
    assert (codes, study.dataset.options["root"]) == ([0, 2, 0], "data")


def test_without_validation_a_share_is_held_out(make: Make, tmp_path: Path) -> None:
    """A folder with training files only gets a holdout."""
    folder, out = make([0, 1], folders=("train",)), tmp_path / "out.yaml"
    CliRunner().invoke(app, ["init", str(folder), "-o", str(out)])
    assert yaml.safe_load(out.read_text())["dataset"]["holdout"] == 0.2


@pytest.mark.parametrize(
    ("images", "batches"), [(2, (2,)), (3, (2,)), (4, (4,)), (9, (4, 8)), (400, (4, 8, 16))]
)
def test_batches_fit_the_training_images(images: int, batches: tuple[int, ...]) -> None:
    """No proposal draws a batch that the data set cannot fill."""
    assert choose_batches(images) == batches


@pytest.mark.parametrize(("pairs", "is_told"), [(1, True), (2, True), (3, False)])
def test_too_few_images_are_told(pairs: int, is_told: bool) -> None:
    """With one image to train on, or none, nothing can be learned."""
    proposal = propose(findings({0: 9, 1: 9}, images="images", pairs=pairs), "s", "data")
    assert proposal.batch_sizes == (2,)
    assert any("left to train on" in note for note in proposal.notes) is is_told
