"""`segtune init`: which values of masks are classes, and that nothing is void without evidence."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.init.labels import LabelChoice, choose_labels, valid_names
from tuner.cli.init.layout import Layout, SplitFiles
from tuner.cli.init.naming import Names
from tuner.cli.init.survey import Findings
from tuner.errors import DataError


def findings(pixels: Mapping[int, int], **said: object) -> Findings:
    """What a survey of 40 masks with these values gives, all of which were read."""
    files = tuple((f"i{index}.png", f"m{index}.png") for index in range(40))
    layout = Layout("images", "masks", {"": SplitFiles("", files)})
    values: dict[str, object] = {
        "layout": layout,
        "sizes": {(360, 480): 40},
        "pixels": pixels,
        "seen_in": dict.fromkeys(pixels, 40),
        "masks_read": 40,
    }
    return Findings(**{**values, **said})  # type: ignore[arg-type]  # fields by name


def chosen(labels: list[int], **said: object) -> LabelChoice:
    """The labels of masks that hold each value equally often, with nobody to ask."""
    return choose_labels(findings(dict.fromkeys(labels, 100), **said))


@pytest.mark.parametrize(
    "values",
    [
        [0, 1],
        [0, 255],
        [0, 200],
        [0, 65535],
        [1, 255],
        [1, 2],
        [0, 127, 254],
        [0, 128, 255],
        [0, 300, 600],
        [0, 85, 170, 255],
        [1, 2, 3],
        [0, 1, 2],
        [10, 20, 30],
        [0, 1, 250],
    ],
)
def test_every_value_is_a_class_without_evidence(values: list[int]) -> None:
    """Black and white, greys, numbers from 1: nothing of the masks is ignored."""
    labels = chosen(values)
    is_plain = values == list(range(len(values)))
    assert (labels.sources, labels.options.get("values")) == (
        tuple(values),
        None if is_plain else values,
    )
    assert labels.ignore not in values or labels.ignore in labels.options["values"]


@pytest.mark.parametrize(
    ("values", "void", "said"),
    [
        ([*range(21), 255], 255, {}),
        ([0, 1, 255], 255, {}),
        ([1, 2, 3, 255], 255, {}),
        ([0, 7, 8, 255], 255, {}),
        ([0, 1, 2, 65535], 65535, {}),
        ([0, 15, 220], 220, {"borders": frozenset({220})}),
        ([0, 1, 2, 99], 99, {"nodata": frozenset({99})}),
        ([-9999, 0, 1], -9999, {"nodata": frozenset({-9999})}),
        ([0, 1, 2, 3], 3, {"names": Names("labels.csv", {0: "a", 1: "b", 2: "c", 3: "Void"})}),
        ([0, 1, 2], 0, {"names": Names("labels.csv", {0: "unlabeled", 1: "b", 2: "c"})}),
        ([0, 1, 255], 255, {"names": Names("dataset.json", {0: "a", 1: "b"})}),
    ],
)
def test_evidence_makes_a_value_void(values: list[int], void: int, said: dict[str, object]) -> None:
    """It is no class, the study ignores it, and a note says what was seen."""
    labels = chosen(values, **said)
    assert void not in labels.sources
    assert set(labels.sources) == set(values) - {void}
    is_told = labels.ignore == void or labels.options.get("remap", {}).get(void) == labels.ignore
    assert is_told or void < 0
    assert any(note.startswith(f"{void} is ignored") for note in labels.notes)


@pytest.mark.parametrize(
    ("values", "void", "said"),
    [
        ([0, 128, 255], 255, {}),
        ([0, 1, 2], 2, {"borders": frozenset({2})}),
        ([0, 1, 250], 250, {}),
        ([0, 1, 2], 0, {"nodata": frozenset({0})}),
        ([0, 1, 2], 2, {"names": Names("c.txt", {0: "sky", 1: "road"}, is_numbered=False)}),
    ],
)
def test_a_doubt_is_asked_and_reported(
    values: list[int], void: int, said: dict[str, object]
) -> None:
    """With a yes the value is ignored; with nobody to ask it is a class, and the note says so."""
    found = findings(dict.fromkeys(values, 100), **said)
    kept = choose_labels(found)
    assert void in kept.sources
    assert any(note.startswith("CHECK") for note in kept.notes)
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return "void" in question

    assert void not in choose_labels(found, ask).sources
    assert str(void) in questions[-1]


def test_most_of_the_pixels_are_not_unlabelled_unasked() -> None:
    """Tools call the background unlabelled, too, so that its share decides."""
    names = Names("_classes.csv", {0: "unlabeled", 1: "cabinet", 2: "door"})
    labels = choose_labels(findings({0: 900, 1: 50, 2: 50}, names=names))
    assert labels.classes == ("unlabeled", "cabinet", "door")


@pytest.mark.parametrize(
    ("names", "values", "classes"),
    [
        (["skin", "lesion"], [0, 255], ("skin", "lesion")),
        (["crack"], [0, 255], ("background", "crack")),
        (["a", "b", "c"], [10, 20, 30], ("a", "b", "c")),
        (["a", "b"], [1, 2], ("a", "b")),
        (["a", "b"], [0, 1, 255], ("a", "b")),
        (["a", "b", "c"], [0, 2], ("a", "b", "c")),
        (["a", "b", "c"], [0, 255], ("class_0", "class_1")),
    ],
)
def test_a_list_of_names_is_laid_on_what_the_masks_hold(
    names: list[str], values: list[int], classes: tuple[str, ...]
) -> None:
    """The names stand in the order of the values, where their number agrees."""
    found = Names("classes.txt", dict(enumerate(names)), is_numbered=False)
    assert chosen(values, names=found).classes == classes


def test_a_background_without_a_name_is_asked_for() -> None:
    """Two names and the labels 0, 1, 2: with a yes, 0 is the background."""
    names = Names("classes.txt", {0: "cat", 1: "dog"}, is_numbered=False)
    found = findings(dict.fromkeys(range(3), 9), names=names)
    assert choose_labels(found, lambda _: True).classes == ("background", "cat", "dog")


def test_labels_beyond_the_names_are_reported() -> None:
    """They are classes of their own, with a warning."""
    labels = chosen([0, 1, 2, 3], names=Names("dataset.json", {0: "a", 1: "b"}))
    assert labels.classes == ("a", "b", "class_2", "class_3")
    assert any("WARNING" in note and "2, 3" in note for note in labels.notes)


@pytest.mark.parametrize("values", [[0], [255], [3]])
def test_one_value_alone_gets_a_second_class_and_a_warning(values: list[int]) -> None:
    """A study has two classes at least; the masks are probably wrong."""
    labels = chosen(values)
    assert len(labels.classes) == 2
    assert any("WARNING" in note for note in labels.notes)


@pytest.mark.parametrize("labels", [list(range(1001)), [0, 70_000], [-1, 0, 1]])
def test_masks_that_hold_no_labels_are_refused(labels: list[int]) -> None:
    """Thousands of values, or some that no study can name."""
    with pytest.raises(DataError, match="PNG, not JPEG"):
        chosen(labels)


def test_too_many_colours_are_refused() -> None:
    """Smoothed masks have colours of no class."""
    with pytest.raises(DataError, match="300 colours"):
        chosen(list(range(300)), is_coloured=True)


def test_the_border_of_voc_is_void_among_colours() -> None:
    """Its colour stands behind the classes of the palette."""
    border = 224 << 16 | 224 << 8 | 192
    labels = chosen([0, 128 << 16, border], is_coloured=True)
    assert labels.options["palette"] == [[0, 0, 0], [128, 0, 0], [224, 224, 192]]
    assert len(labels.classes) == 2


@given(names=st.lists(st.text(max_size=12), min_size=2, max_size=8))
def test_any_class_names_become_valid_ones(names: list[str]) -> None:
    """Names differ and hold no dot or comma, whatever the file says."""
    found = valid_names(tuple(names))
    assert len(set(found)) == len(found)
    assert not any(sign in name for name in found for sign in ".,\n")


@given(
    values=st.sets(st.integers(0, 65535), min_size=1, max_size=12),
    high=st.sampled_from([None, 255, 65535]),
)
def test_no_value_is_lost(values: set[int], high: int | None) -> None:
    """Each value is a class or is named as ignored; a plain study reads 0, 1, 2, … itself."""
    seen = values | ({high} if high else set())
    labels = chosen(sorted(seen))
    lost = seen - set(labels.sources)
    assert lost <= {labels.ignore, *labels.options.get("remap", {})}
    assert np.unique(labels.sources).tolist() == list(labels.sources)
    if "values" not in labels.options and "remap" not in labels.options:
        assert labels.sources == tuple(range(len(labels.sources)))
