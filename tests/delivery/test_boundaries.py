"""Boundary F-score and boundary IoU, against small masks by hand and a plain computation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.delivery.scenes import mask
from tuner.delivery.evaluation import boundaries
from tuner.delivery.evaluation.boundaries import Boundaries
from tuner.training.ignore import IGNORE


def scored(label: np.ndarray, predicted: np.ndarray, classes: int = 3) -> boundaries.BoundaryScores:
    """The scores of one image."""
    total = Boundaries(classes)
    total.add(torch.from_numpy(label), torch.from_numpy(predicted))
    return total.result()


def halves(column: int) -> np.ndarray:
    """Eight rows of ten columns: class 0 up to a column, class 1 from it on."""
    found = np.zeros((8, 10), dtype=np.uint8)
    found[:, column:] = 1
    return found


def test_a_contour_that_is_met_scores_1() -> None:
    """Label and prediction are equal; a class that neither has is not scored."""
    found = scored(halves(5), halves(5))
    assert (found.f_score[:2], found.iou[:2]) == ((1.0, 1.0), (1.0, 1.0))
    assert math.isnan(found.f_score[2])
    assert math.isnan(found.iou[2])
    assert found.mean_f_score == 1.0


def test_a_contour_within_reach_scores_1_and_beyond_0() -> None:
    """On a small image the distance is one pixel: a contour moved by one is met, by two missed."""
    assert scored(halves(5), halves(6)).f_score[:2] == (1.0, 1.0)
    assert scored(halves(5), halves(7)).f_score[:2] == (0.0, 0.0)


def test_a_part_that_is_met_counts_by_its_share() -> None:
    """Six of eight rows fit: precision and recall of class 0 can be counted by hand."""
    predicted = halves(5)
    predicted[6:] = halves(9)[6:]
    # Class 0, label: 8 pixels in column 4. Predicted: rows 0-5 in column 4, rows 6-7 in column 8,
    # and columns 5-8 of row 6, above which class 1 is: 6 + 2 + 3 pixels in all.
    # Label pixels within a pixel of a predicted one: rows 0-6 (row 6 by its neighbours), not row 7.
    # Predicted pixels near a label pixel: the six, and (6, 5).
    recall, precision = 7 / 8, 7 / 11
    expected = 2 * recall * precision / (recall + precision)
    assert scored(halves(5), predicted).f_score[0] == pytest.approx(expected)


def test_boundary_iou_by_hand() -> None:
    """A depth of one pixel: the contour itself and the frame."""
    label, predicted = halves(5), halves(6)
    # Class 0 of the label: 8×5 pixels less its inside of 6×3; of the prediction 8×6 less 6×4.
    # Both: the frame's part of the label (8×5 less 6×4 without the contour), the contours differ.
    both = 8 * 5 - 6 * 4
    union = (8 * 5 - 6 * 3) + (8 * 6 - 6 * 4) - both
    assert scored(label, predicted).iou[0] == pytest.approx(both / union)


def test_what_is_ignored_bounds_nothing() -> None:
    """A void around an object is no contour, and what is predicted there does not count."""
    label = np.zeros((20, 20), dtype=np.uint8)
    label[8:12, 8:12] = 1
    label[4:16, 4:16][label[4:16, 4:16] == 0] = IGNORE
    predicted = np.full((20, 20), 2, dtype=np.uint8)
    predicted[label != IGNORE] = label[label != IGNORE]
    found = scored(label, predicted)
    assert [math.isnan(value) for value in found.f_score] == [True, True, True]
    assert found.iou[:2] != (0.0, 0.0)
    assert math.isnan(found.iou[2])


def test_an_image_without_a_class_does_not_count_for_it() -> None:
    """Means are over the images that have a contour of the class; IoU is over all pixels."""
    total = Boundaries(3)
    for label, predicted in ((halves(5), halves(5)), (np.full((8, 10), 2), np.full((8, 10), 2))):
        total.add(torch.from_numpy(label), torch.from_numpy(predicted))
    assert total.result().f_score[0] == 1.0
    assert total.result().iou == (1.0, 1.0, 1.0)  # the frame bounds class 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(9, 30), st.integers(9, 30))
def test_they_are_what_a_plain_computation_gives(
    first: int, second: int, rows: int, columns: int
) -> None:
    """Pixel by pixel, without a tensor."""
    label = mask(rows, columns, first)
    predicted = mask(rows, columns, second, ignored=False)
    found = scored(label, predicted)
    np.testing.assert_allclose(found.f_score, plain_f_score(label, predicted), atol=1e-12)
    np.testing.assert_allclose(found.iou, plain_iou(label, predicted), atol=1e-12)


def plain_f_score(label: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Csurka's score by distances between all pairs of contour pixels."""
    predicted = np.where(label == IGNORE, IGNORE, predicted)
    reach = max(1.0, 0.0075 * math.dist((0, 0), label.shape))
    scores = []
    for kind in range(3):
        wanted, found = _contour(label, kind), _contour(predicted, kind)
        if not wanted and not found:
            scores.append(float("nan"))
            continue
        precision = _share(found, wanted, reach)
        recall = _share(wanted, found, reach)
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return scores


def _contour(labels: np.ndarray, kind: int) -> list[tuple[int, int]]:
    rows, columns = labels.shape
    found = []
    for row, column in np.argwhere(labels == kind).tolist():
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [(r, c) for r, c in around if 0 <= r < rows and 0 <= c < columns]
        if any(labels[place] not in (kind, IGNORE) for place in inside):
            found.append((row, column))
    return found


def _share(points: list[tuple[int, int]], others: list[tuple[int, int]], reach: float) -> float:
    near = [any(math.dist(point, other) <= reach for other in others) for point in points]
    return sum(near) / len(near) if near else 0.0


def plain_iou(label: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Boundary IoU as Cheng's code has it: a mask less its erosion, the outside being 0."""
    depth = max(1, round(0.02 * math.dist((0, 0), label.shape)))
    valid = label != IGNORE
    scores = []
    for kind in range(3):
        parts = []
        for labels in (label, np.where(valid, predicted, IGNORE)):
            inside = (labels == kind) | ~valid
            eroded = np.pad(inside, depth)
            for _ in range(depth):
                framed = np.pad(eroded, 1)
                shifts = [
                    framed[r : r + eroded.shape[0], c : c + eroded.shape[1]]
                    for r in range(3)
                    for c in range(3)
                ]
                eroded = np.logical_and.reduce(shifts)
            kept = eroded[depth:-depth, depth:-depth]
            parts.append((labels == kind) & ~kept & valid)
        union = int((parts[0] | parts[1]).sum())
        scores.append(int((parts[0] & parts[1]).sum()) / union if union else float("nan"))
    return scores
