"""Sheets of validation images: the same ones for every trial, and exactly what was scored."""

import dataclasses
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training import samples
from tests.training.test_train import Script, after, run, weights
from tuner.configs.colours import class_colours
from tuner.spec.examples import LONGEST_NAME, SIDE, Example, SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import OutcomeKind
from tuner.spec.metrics import compute
from tuner.training import evaluate
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.examples import Examples, chosen, fitted, layout, printable, reduced
from tuner.training.ignore import IGNORE
from tuner.training.network import model


class Sheet(NamedTuple):
    """What was told of a sheet, and its pixels: palette indices, or colours of photos."""

    kind: ArtifactKind
    name: str
    details: SheetDetails
    step: int | None
    pixels: np.ndarray


class Told(list[Sheet]):
    """Reads every sheet as it comes."""

    def __call__(
        self, kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None
    ) -> None:
        """Take note of a sheet."""
        with Image.open(path) as image:
            self.append(Sheet(kind, path.name, details, step, np.asarray(image)))

    def of(self, kind: ArtifactKind) -> list[Sheet]:
        """Those of a kind."""
        return [sheet for sheet in self if sheet.kind is kind]


def on_sheet(sheet: Sheet, image: Example) -> np.ndarray:
    """The pixels of one image."""
    left, top, width, height = image.box
    return sheet.pixels[top : top + height, left : left + width]


def examples(data: Data, folder: Path, told: Told, count: int = 2) -> Examples:
    """Of the synthetic scenes."""
    return Examples(data.val, samples.synthetic(), count, folder, told)


@pytest.fixture(scope="module")
def shown(scenes: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Script, Told, Path]:
    """A whole training whose examples were looked at."""
    folder, script, told = tmp_path_factory.mktemp("shown"), Script(), Told()
    with examples(scenes, folder, told) as seen:
        run(scenes, folder, script, examples=seen)
    return script, told, folder


def test_every_evaluation_has_its_sheet(shown: tuple[Script, Told, Path]) -> None:
    """Photos and labels once, predictions with each report."""
    script, told, _ = shown
    assert [(sheet.kind, sheet.step) for sheet in told] == [
        (ArtifactKind.PHOTOS, None),
        (ArtifactKind.TRUTH, None),
        *((ArtifactKind.PREDICTIONS, report.step) for report in script.reports),
    ]


def test_sheets_hold_exactly_what_was_scored(
    scenes: Data, shown: tuple[Script, Told, Path]
) -> None:
    """Where every image is shown, their pixels against the labels are the confusion matrix."""
    script, told, _ = shown
    (truth,) = told.of(ArtifactKind.TRUTH)
    for report, sheet in zip(script.reports, told.of(ArtifactKind.PREDICTIONS), strict=True):
        assert len(sheet.details.images) == len(scenes.val)
        counts = np.zeros((3, 3), dtype=int)
        for image in sheet.details.images:
            label, predicted = on_sheet(truth, image), on_sheet(sheet, image)
            assert (label == scenes.val.label(image.index)).all()
            own = np.zeros((3, 3), dtype=int)
            np.add.at(own, (label[label != IGNORE], predicted[label != IGNORE]), 1)
            assert image.miou == compute("miou", own.tolist(), samples.CLASSES)
            counts += own
        assert report.confusion == tuple(map(tuple, counts.tolist()))


def test_a_sheet_is_the_argmax(scenes: Data, tmp_path: Path) -> None:
    """At its own size an image's pixels are the classes of the largest logits."""
    built = model.build(samples.config(), mean=scenes.train.mean, std=scenes.train.std).eval()
    told = Told()
    with examples(scenes, tmp_path, told, 1) as seen:
        evaluate.confusion(
            built,
            scenes.val,
            context=DeviceContext(),
            determinism="exact",
            batch_size=2,
            watch=seen.watch,
        )
        seen.publish(1)
    sheet = told[-1]
    (image,) = sheet.details.images
    with torch.inference_mode():
        pixels = torch.from_numpy(scenes.val.images[image.index : image.index + 1])
        logits, _ = built(pixels.permute(0, 3, 1, 2).float())
    assert on_sheet(sheet, image).tolist() == logits.argmax(dim=1)[0].tolist()


def test_looking_on_changes_nothing(
    scenes: Data, shown: tuple[Script, Told, Path], tmp_path: Path
) -> None:
    """A training that nobody looks at ends in the same numbers and the same weights."""
    script, _, folder = shown
    alone = Script()
    run(scenes, tmp_path, alone)
    assert samples.timeless(alone.reports) == samples.timeless(script.reports)
    looked_at, unseen = weights(folder), weights(tmp_path)
    assert all(torch.equal(looked_at[name], unseen[name]) for name in unseen)


def test_a_resumed_training_draws_the_same(
    scenes: Data, shown: tuple[Script, Told, Path], tmp_path: Path
) -> None:
    """The second attempt hands in the sheets of its steps, pixel for pixel, with one name each."""
    told = Told()
    with examples(scenes, tmp_path, told) as seen:
        first = run(scenes, tmp_path, Script(), should_yield=after(4), examples=seen)
    assert first.kind is OutcomeKind.YIELDED
    again = Told()
    with examples(scenes, tmp_path, again) as seen:
        run(scenes, tmp_path, Script(), resume=tmp_path / "checkpoint.pt", examples=seen)
    whole = shown[1].of(ArtifactKind.PREDICTIONS)
    parts = told.of(ArtifactKind.PREDICTIONS) + again.of(ArtifactKind.PREDICTIONS)
    assert [sheet.name for sheet in parts] == [sheet.name for sheet in whole]
    assert all((one.pixels == other.pixels).all() for one, other in zip(parts, whole, strict=True))


def test_none_are_drawn_where_none_are_wanted(scenes: Data, tmp_path: Path) -> None:
    """A count of 0 leaves no file."""
    told = Told()
    with examples(scenes, tmp_path, told, 0) as seen:
        seen.publish(1)
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_cannot_be_written_is_no_failure(
    scenes: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A trial trains without images of its predictions."""
    with examples(scenes, tmp_path / "gone", Told()) as seen:
        outcome = run(scenes, tmp_path, Script(), examples=seen)
    assert outcome.kind is OutcomeKind.COMPLETED
    assert "a sheet of examples was not drawn" in caplog.text


def test_the_palette_is_the_classes_and_what_is_ignored_is_clear(
    scenes: Data, tmp_path: Path
) -> None:
    """Index 255 is transparent, the others have the colours of their classes."""
    with examples(scenes, tmp_path, Told()):
        pass
    with Image.open(tmp_path / "truth.png") as image:
        palette = image.getpalette() or []
        alpha = image.info["transparency"]
    assert palette[:9] == [part for colour in class_colours(samples.synthetic()) for part in colour]
    assert alpha == IGNORE or (alpha[IGNORE], set(alpha[:IGNORE])) == (0, {255})


def test_a_large_image_is_shown_smaller(scenes: Data, tmp_path: Path) -> None:
    """Labels of 1200×600 take 512×256 of a sheet, whose score is still that of all pixels."""
    label = np.repeat(np.arange(3, dtype=np.uint8), 600 * 400).reshape(600, 1200)
    data = dataclasses.replace(
        scenes.val,
        images=scenes.val.images[:1],
        flat_labels=label.reshape(-1),
        shapes=((600, 1200),),
        names=("wide",),
    )
    told = Told()
    predicted = torch.from_numpy(label)
    with Examples(data, samples.synthetic(), 8, tmp_path, told) as seen:
        counts = evaluate.tally(predicted, predicted, 3)
        seen.watch(0, predicted, counts)
        seen.publish(3)
    (image,) = told[-1].details.images
    assert (image.size, image.box, image.miou) == ((600, 1200), (0, 0, 512, 256), 1.0)
    assert (told[-1].pixels == told.of(ArtifactKind.TRUTH)[0].pixels).all()


NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True)


@given(names=NAMES, count=st.integers(0, 12), more=NAMES, data=st.data())
def test_the_draw_depends_on_names_alone(
    names: list[str], count: int, more: list[str], data: st.DataObject
) -> None:
    """Not on their order; fewer are a part of more, and new images displace some."""
    found = [names[place] for place in chosen(names, count)]
    assert len(found) == min(count, len(names)) == len(set(found))
    turned = data.draw(st.permutations(names))
    assert [turned[place] for place in chosen(turned, count)] == found
    assert [names[place] for place in chosen(names, count + 1)][:count] == found
    grown = [*names, *(name for name in more if name not in names)]
    assert {grown[place] for place in chosen(grown, count)} <= {*found, *more}


def test_the_draw_is_fixed() -> None:
    """Every release chooses the same images of a data set."""
    names = [f"{number:04d}" for number in range(100)]
    assert chosen(names, 4) == (33, 16, 26, 2)


SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(sizes=st.lists(SIZES, min_size=1, max_size=32))
def test_boxes_fit_and_stay_apart(sizes: list[tuple[int, int]]) -> None:
    """Whatever the images' sizes, details of their layout are valid."""
    small = [fitted(size) for size in sizes]
    assert all(max(size) <= SIDE for size in small)
    (height, width), boxes = layout(small)
    images = tuple(
        Example(index=index, name="a", size=sizes[index], box=box)
        for index, box in enumerate(boxes)
    )
    SheetDetails(width=width, height=height, images=images)
    assert len(list(combinations(boxes, 2))) == len(boxes) * (len(boxes) - 1) // 2


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), new=st.tuples(*[st.integers(1, 40)] * 2)
)
def test_reduction_takes_the_middle_pixel(height: int, width: int, new: tuple[int, int]) -> None:
    """Row i of n comes from row floor((i + ½)·H/n), as in Pillow's nearest neighbour."""
    labels = torch.arange(height * width).reshape(height, width)
    rows = [int((i + 0.5) * height / new[0]) for i in range(new[0])]
    columns = [int((j + 0.5) * width / new[1]) for j in range(new[1])]
    expected = [[row * width + column for column in columns] for row in rows]
    assert reduced(labels, new).tolist() == expected


@given(name=st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_file_name_can_be_told(name: str) -> None:
    """Of a long path the end; what cannot be shown is a question mark, all else as it was."""
    shown = Example(index=0, name=printable(name), size=(1, 1), box=(0, 0, 1, 1)).name
    assert len(shown) == max(1, min(len(name), LONGEST_NAME))
    for was, told in zip(name[::-1], shown[::-1], strict=False):
        is_hidden = was < " " or was == "\x7f" or "\ud800" <= was <= "\udfff"
        assert told == ("?" if is_hidden else was)
