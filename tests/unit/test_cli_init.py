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

from tuner.cli.app import app
from tuner.cli.init import command
from tuner.cli.init.document import render
from tuner.cli.init.layout import Layout, SplitFiles, find_layout
from tuner.cli.init.naming import Names
from tuner.cli.init.proposal import (
    HOLDOUT,
    choose_batches,
    choose_size,
    propose,
    without_holdout,
)
from tuner.cli.init.survey import Findings, survey
from tuner.configs import checks
from tuner.configs.resolve import resolve
from tuner.errors import DataError
from tuner.spec.config import Recipe
from tuner.training.data.folds import held_out
from tuner.training.data.split import Split

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
    layout = Layout(images, "masks/{split}", {word: SplitFiles(word, files) for word in words})
    return Findings(
        layout,
        {size: pairs},
        pixels,
        dict.fromkeys(pixels, pairs),
        pairs,
        names=Names("classes.txt", dict(enumerate(classes)), is_numbered=False)
        if classes
        else None,
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
    assert checks.parse(yaml.safe_load(text)).dataset.options["root"] == "data: #1"


def test_the_base_that_is_written_is_the_textbook_recipe() -> None:
    """It trains as a study without a base does, but from pretrained weights and augmented."""
    found = findings({0: 90, 1: 10}, images="images", pairs=50, classes=(), size=(64, 64))
    spec = checks.parse(yaml.safe_load(render(propose(found, "my-study", "data"))))
    written, textbook = (resolve(base, spec.dataset, {}) for base in (spec.base, Recipe()))

    assert (textbook.optimizer, textbook.schedule, textbook.loss) == (
        written.optimizer,
        written.schedule,
        written.loss,
    )
    assert textbook.model.model_copy(update={"weights": "pretrained"}) == written.model


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
    study = checks.parse(yaml.safe_load((tmp_path / "study.yaml").read_text()))
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
def test_too_few_images_are_reported(pairs: int, is_told: bool) -> None:
    """With one image to train on, or none, nothing can be learned."""
    proposal = propose(findings({0: 9, 1: 9}, images="images", pairs=pairs), "s", "data")
    assert proposal.batch_sizes == (2,)
    assert any("left to train on" in note for note in proposal.notes) is is_told


@pytest.mark.parametrize(
    ("is_terminal", "classes"),
    [(True, ["class_0", "class_1"]), (False, ["class_0", "class_100", "class_255"])],
)
def test_a_doubt_is_asked_at_a_terminal_only(
    make: Make, monkeypatch: pytest.MonkeyPatch, is_terminal: bool, classes: list[str]
) -> None:
    """Elsewhere the value is a class, and the note says what to do if it is void."""
    folder = make([0, 100, 255])
    monkeypatch.chdir(folder)
    monkeypatch.setattr(command, "_is_terminal", lambda: is_terminal)
    done = CliRunner().invoke(app, ["init", "."], input="y\n")
    assert yaml.safe_load(Path("study.yaml").read_text())["dataset"]["classes"] == classes
    assert ("Is it void" in done.output, "CHECK: 255" in done.output) == (
        is_terminal,
        not is_terminal,
    )


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 7, 11])
def test_any_number_of_pairs_is_divided_as_training_divides(pairs: int) -> None:
    """What init counts on for a batch is what `holdout` leaves to train on."""
    owners = [f"i{index}" for index in range(pairs)]
    pool = Split(tuple(owners), "key", lambda _: pytest.fail("nothing is read"))
    expected = len(held_out(pool, HOLDOUT, None)[0]) if pairs > 1 else 0
    assert without_holdout(pairs) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": null, "annotations": [], "categories": []}', "annotations.json"),
        ('{"images": [3], "annotations": [], "categories": []}', "annotations.json"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "annotations.json"),
        (
            '{"images": [{"id": 1, "file_name": "b.png"}], "annotations": [],'
            ' "categories": [{"id": 1, "name": "cat"}]}',
            "b.png",
        ),
        ("[", "matches"),
    ],
)
def test_broken_annotations_are_named(tmp_path: Path, content: str, message: str) -> None:
    """Whatever an annotation file holds, the answer is a sentence that names it."""
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    (tmp_path / "annotations.json").write_text(content)
    done = CliRunner().invoke(app, ["init", str(tmp_path), "-o", str(tmp_path / "study.yaml")])
    assert done.exit_code == 2, done.output
    assert message in done.output


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", b"\xff\xfe\x00"),
        ("classes.json", b"[[1], {}]"),
        ("labelmap.txt", b"a:1,2\nb:1,2,999"),
        ("_classes.csv", b"what, is\nthis, ?"),
        ("dataset.json", b'{"labels": 3}'),
        ("meta.json", b'{"classes": [{"title": 3}]}'),
        ("classes.txt", b""),
    ],
)
def test_a_file_that_holds_no_names_does_no_harm(make: Make, name: str, content: bytes) -> None:
    """The classes get numbers instead."""
    folder = make([0, 1, 2])
    (folder / name).write_bytes(content)
    out = folder / "study.yaml"
    done = CliRunner().invoke(app, ["init", str(folder), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert checks.parse(yaml.safe_load(out.read_text())).dataset.classes[2:] != ()
