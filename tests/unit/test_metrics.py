"""The one definition of every metric, against counts done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.spec.metrics import by_class, compute, derive, metric_names, unknown_metric

CLASSES = ("road", "car", "sky")
COUNTS = st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3)


@few
@given(COUNTS)
def test_every_metric_is_a_share(confusion: list[list[int]]) -> None:
    """All metrics of all matrices lie between 0 and 1."""
    assert all(0 <= value <= 1 for value in derive(confusion, CLASSES).values())


@few
@given(COUNTS)
def test_only_metrics_that_may_be_named_are_derived(confusion: list[list[int]]) -> None:
    """Whatever is derived can be an objective."""
    assert set(derive(confusion, CLASSES)) <= set(metric_names(CLASSES))


@few
@given(COUNTS)
def test_scores_do_not_depend_on_the_order_of_classes(confusion: list[list[int]]) -> None:
    """Renumbering the classes changes no summary."""
    turned = [row[::-1] for row in confusion[::-1]]
    forward, backward = derive(confusion, CLASSES), derive(turned, CLASSES[::-1])
    assert forward == pytest.approx(backward)


def test_a_matrix_counted_by_hand() -> None:
    """iou = TP / (TP + FP + FN); the absent class does not count."""
    found = derive([[8, 2, 0], [1, 4, 0], [0, 0, 0]], CLASSES)
    assert found["iou.road"] == pytest.approx(8 / 11)
    assert found["iou.car"] == pytest.approx(4 / 7)
    assert "iou.sky" not in found
    assert found["miou"] == pytest.approx((8 / 11 + 4 / 7) / 2)
    assert found["iou.worst"] == pytest.approx(4 / 7)
    assert found["pixel_accuracy"] == pytest.approx(12 / 15)
    assert found["dice"] == pytest.approx((16 / 19 + 8 / 11) / 2)
    assert found["fwiou"] == pytest.approx((10 * 8 / 11 + 5 * 4 / 7) / 15)


def test_nothing_labelled_gives_no_metrics() -> None:
    """An empty evaluation has no score, rather than a zero."""
    assert derive([[0] * 3 for _ in range(3)], CLASSES) == {}


def test_an_unknown_metric_gets_the_nearest() -> None:
    """A typo is answered with what was probably meant."""
    assert unknown_metric("miou", CLASSES) is None
    assert "did you mean 'miou'" in str(unknown_metric("mIoU", CLASSES))
    assert "did you mean 'iou.car'" in str(unknown_metric("iou.cat", CLASSES))
    assert "valid are: iou.road, iou.car" in str(unknown_metric("iou.bus", CLASSES))


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("iou.car", 4 / 7),
        ("iou.worst", 4 / 7),
        ("iou.[road,car]", (8 / 11 + 4 / 7) / 2),
        ("iou.[car, sky]", 4 / 7),  # the sky is nowhere
        ("recall.car", 4 / 5),
        ("precision.road", 8 / 9),
        ("precision.worst", 4 / 6),
        ("dice.[road]", 16 / 19),
        ("pixel_accuracy", 12 / 15),
    ],
)
def test_a_matrix_gives_any_measure_of_any_classes(metric: str, value: float) -> None:
    """One class, the worst, or the mean over some, of which absent ones do not count."""
    assert unknown_metric(metric, CLASSES) is None
    found = compute(metric, [[8, 2, 0], [1, 4, 0], [0, 0, 0]], CLASSES)
    assert found == pytest.approx(value)


@pytest.mark.parametrize("metric", ["iou.sky", "recall.[sky]", "train_loss", "miou.car"])
def test_what_a_matrix_does_not_give_is_none(metric: str) -> None:
    """An absent class and a loss have no value, rather than a zero."""
    assert compute(metric, [[8, 2, 0], [1, 4, 0], [0, 0, 0]], CLASSES) is None


@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("iou.[car,bus]", "'bus'"),
        ("recall.bus", "valid are: recall."),
        ("iou.[car,car]", "twice: car"),
    ],
)
def test_a_wrong_subset_names_the_class(metric: str, hint: str) -> None:
    """The message says which of the listed classes is meant."""
    assert hint in str(unknown_metric(metric, CLASSES))


@few
@given(COUNTS)
def test_what_is_reported_is_what_is_computed(confusion: list[list[int]]) -> None:
    """A metric has one value, by whichever way it is asked for."""
    for name, value in derive(confusion, CLASSES).items():
        assert compute(name, confusion, CLASSES) == value


def by_pixels(confusion: list[list[int]]) -> tuple[list[int], list[int]]:
    """Labels and predictions of every pixel that a matrix counts."""
    pixels = [
        (label, said)
        for label, row in enumerate(confusion)
        for said, count in enumerate(row)
        for _ in range(count)
    ]
    return [label for label, _ in pixels], [said for _, said in pixels]


def macro(
    labels: list[int], said: list[int], measure: str, *, among: set[int], zero_division: float = 0
) -> float:
    """A macro average as scikit-learn defines it, by counting pixels one by one."""
    values = []
    for k in among:
        hits = sum(a == k == b for a, b in zip(labels, said, strict=True))
        labelled, predicted = labels.count(k), said.count(k)
        parts = {
            "precision": (hits, predicted),
            "recall": (hits, labelled),
            "dice": (2 * hits, labelled + predicted),
            "miou": (hits, labelled + predicted - hits),
        }
        part, whole = parts[measure]
        values.append(part / whole if whole else zero_division)
    return sum(values) / len(values)


SMALL = st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=4, max_size=4)


@few
@given(SMALL, st.sets(st.integers(0, 3)))
def test_means_equal_scikit_learns(confusion: list[list[int]], never: set[int]) -> None:
    """Macro averages over the classes that occur, zero_division 0; recall of the labelled ones."""
    confusion = [[0 if k in never else n for k, n in enumerate(row)] for row in confusion]
    labels, said = by_pixels(confusion)
    found = derive(confusion, ("a", "b", "c", "d"))
    assert bool(found) == bool(labels)
    for measure in ("precision", "recall", "dice", "miou") if labels else ():
        among = set(labels) if measure == "recall" else {*labels, *said}
        assert found[measure] == pytest.approx(macro(labels, said, measure, among=among))


def test_predicting_fewer_classes_does_not_raise_precision() -> None:
    """To leave a rare class out costs its precision: it is 0, and is not left out of the mean."""
    careful = [[90, 2, 0], [1, 5, 2], [0, 1, 3]]
    lazy = [[92, 0, 0], [6, 2, 0], [1, 3, 0]]
    assert derive(lazy, CLASSES)["precision"] < derive(careful, CLASSES)["precision"]
    assert compute("precision.sky", lazy, CLASSES) == 0
    assert compute("precision.worst", lazy, CLASSES) == 0


@few
@given(COUNTS)
def test_every_measure_of_a_labelled_class_has_a_value(confusion: list[list[int]]) -> None:
    """Whatever is predicted: an objective on a class that the split shows is never undefined."""
    for measure, values in by_class(confusion).items():
        labelled = {k for k, row in enumerate(confusion) if sum(row)}
        assert labelled <= values.keys(), measure
