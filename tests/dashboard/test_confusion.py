"""The confusion matrix on a page: right shares, in few bytes for many classes."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.confusion import LEGIBLE, confusion_figure, mistakes
from api.dashboard.trial_query import SHARES, Shares

CONFUSION = ((80, 20, 0), (10, 60, 30), (0, 0, 0))
CLASSES = ("road", "car", "sign")


def texts(shares: Shares) -> list[list[str]]:
    """What each cell says."""
    figure = confusion_figure(CONFUSION, CLASSES, shares)
    assert figure is not None
    return [[cell.text for cell in row] for row in figure.rows]


def test_each_cell_says_its_share() -> None:
    """By row of the label's pixels, by column of the prediction's, or the counts themselves."""
    assert [["80", "20", ""], ["10", "60", "30"], ["", "", ""]] == texts("recall")
    assert [["89", "25", ""], ["11", "75", "100"], ["", "", ""]] == texts("precision")
    assert [["80", "20", ""], ["10", "60", "30"], ["", "", ""]] == texts("counts")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (7, "7"), (999, "999"), (1000, "1.0k"), (9960, "10k"), (2**62, "4.6E")],
)
def test_counts_are_short(count: int, text: str) -> None:
    """Thousands and millions take four characters; the largest there may be are still a number."""
    figure = confusion_figure(((count, 0), (0, 0)), ("a", "b"), "counts")

    assert figure is not None
    assert text == figure.rows[0][0].text


def test_the_largest_confusions_are_listed_first() -> None:
    """With their share of the label and of the prediction; what is right is no confusion."""
    found = mistakes(CONFUSION, CLASSES)

    assert [("car", "sign", 30), ("road", "car", 20), ("car", "road", 10)] == [
        (each.label, each.predicted, each.count) for each in found
    ]
    assert (0.3, 1.0) == (found[0].of_label, found[0].of_predicted)


def test_without_a_matrix_of_these_classes_there_is_no_figure() -> None:
    """Neither where none was reported, nor where it has other classes."""
    assert confusion_figure(None, CLASSES, "recall") is None
    assert confusion_figure(CONFUSION, ("road",), "recall") is None


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("classes", [LEGIBLE + 1, 150])
def test_many_classes_are_a_small_image(classes: int, shares: Shares) -> None:
    """One path a shade, even where every cell has pixels."""
    names = [f"class-{number}" for number in range(classes)]
    matrix = [
        [10_000 if a == b else (a * 31 + b * 17) % 97 for b in range(classes)]
        for a in range(classes)
    ]
    figure = confusion_figure(matrix, names, shares)

    assert figure is not None
    assert figure.image is not None
    assert () == figure.rows
    assert len(ElementTree.fromstring(str(figure.image))) <= 16
    assert len(figure.image) < 160_000


@given(
    st.integers(min_value=2, max_value=24).flatmap(
        lambda size: st.lists(
            st.lists(st.integers(0, 2**63 - 1), min_size=size, max_size=size),
            min_size=size,
            max_size=size,
        )
    ),
    st.sampled_from(SHARES),
)
def test_any_counts_make_a_figure(matrix: list[list[int]], shares: Shares) -> None:
    """No counts that a worker may send break the page; each shade is one that there is."""
    names = [f"class-{number}" for number in range(len(matrix))]
    figure = confusion_figure(matrix, names, shares)

    assert figure is not None
    assert all(0 <= cell.level <= 8 for row in figure.rows for cell in row)
    assert sum(map(sum, matrix)) == figure.pixels
