"""How well contours fit: the boundary F-score and boundary IoU, by class.

Boundary F-score (Csurka et al. 2013): of each image and class, the harmonic mean of the share of
predicted contour pixels within a distance of a labelled contour pixel of the class, and the share
of labelled ones near a predicted one; the distance is 0.75 % of the image's diagonal, as they have
it. A class's score is the mean over the images that have a contour of it in label or prediction.
A pixel is on the contour of its class if a neighbour above, below or beside is of another class.

Boundary IoU (Cheng et al. 2021): IoU of those pixels of a class that lie within 2 % of the diagonal
from its contour, counted over all images. As in their code the distance is that of a square, and
the image's frame is a contour.

What is ignored in the label is ignored in the prediction too, and bounds nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tuner.training.ignore import IGNORE

TOLERANCE = 0.0075  # of the diagonal, for the F-score
DEPTH = 0.02  # of the diagonal, for boundary IoU
_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class BoundaryScores:
    """Scores by class, NaN where a class has no contour; means are over those that have one."""

    f_score: tuple[float, ...]
    iou: tuple[float, ...]

    @property
    def mean_f_score(self) -> float:
        """Mean over the classes that have a contour somewhere."""
        return _mean(self.f_score)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that have a contour somewhere."""
        return _mean(self.iou)


class Boundaries:
    """Adds up images; what it holds does not depend on their order."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._scores: list[NDArray[np.float64]] = []
        self._counts = np.zeros((3, classes), dtype=np.int64)

    def add(self, label: Tensor, predicted: Tensor) -> None:
        """Count one image: labels and predicted classes H×W; 255 in the label is ignored."""
        label = label.long()
        predicted = torch.where(label == IGNORE, IGNORE, predicted.long())
        self._scores.append(f_scores(label, predicted, self._classes))
        self._counts += _near_counts(label, predicted, self._classes)

    def result(self) -> BoundaryScores:
        """The scores of all images so far."""
        scores = np.array(self._scores).reshape(-1, self._classes)
        seen = (~np.isnan(scores)).sum(axis=0)
        sums = np.nansum(scores, axis=0)
        both, labelled, predicted = self._counts
        union = labelled + predicted - both
        return BoundaryScores(
            tuple(float(s / n) if n else float("nan") for s, n in zip(sums, seen, strict=True)),
            tuple(float(i / u) if u else float("nan") for i, u in zip(both, union, strict=True)),
        )


def f_scores(label: Tensor, predicted: Tensor, classes: int) -> NDArray[np.float64]:
    """Boundary F-score of each class in one image; NaN where neither has a contour of it."""
    reach = max(1.0, TOLERANCE * float(np.hypot(*label.shape)))
    wanted, found = contours(label), contours(predicted)
    precision = _near(found, wanted, reach, classes)
    recall = _near(wanted, found, reach, classes)
    with np.errstate(invalid="ignore"):
        scores = 2 * precision * recall / (precision + recall)
    # A contour that only one side has is missed, or made up: 0. One that none has is not scored.
    is_scored = ~(np.isnan(precision) & np.isnan(recall))
    return np.where(is_scored, np.nan_to_num(scores), np.nan)


def contours(labels: Tensor) -> Tensor:
    """The labels H×W on contours, and -1 elsewhere."""
    is_contour = torch.zeros_like(labels, dtype=torch.bool)
    for axis, length in enumerate(labels.shape):
        first, second = labels.narrow(axis, 0, length - 1), labels.narrow(axis, 1, length - 1)
        differs = (first != second) & (first != IGNORE) & (second != IGNORE)
        is_contour.narrow(axis, 0, length - 1).logical_or_(differs)
        is_contour.narrow(axis, 1, length - 1).logical_or_(differs)
    return torch.where(is_contour, labels, _NOWHERE)


def _near(points: Tensor, others: Tensor, reach: float, classes: int) -> NDArray[np.float64]:
    """Of each class's points, the share that has another of the class within reach; NaN: none."""
    far = int(reach)
    padded = functional.pad(others, (far, far, far, far), value=_NOWHERE)
    rows, columns = torch.nonzero(points != _NOWHERE, as_tuple=True)
    kinds = points[rows, columns]
    is_near = torch.zeros_like(kinds, dtype=torch.bool)
    for down in range(-far, far + 1):
        for across in range(-far, far + 1):
            if down**2 + across**2 <= reach**2:
                is_near |= padded[rows + far + down, columns + far + across] == kinds
    total = torch.bincount(kinds, minlength=classes).cpu().numpy()
    near = torch.bincount(kinds[is_near], minlength=classes).cpu().numpy()
    return np.where(total > 0, near / np.maximum(total, 1), np.nan)


def _near_counts(label: Tensor, predicted: Tensor, classes: int) -> NDArray[np.int64]:
    """Pixels near the contour of their class in both, in the label, and in the prediction."""
    depth = max(1, round(DEPTH * float(np.hypot(*label.shape))))
    wanted, found = near_contour(label, depth), near_contour(predicted, depth)
    both = wanted & found & (label == predicted)
    counts = (label[both], label[wanted], predicted[found])
    return np.stack([torch.bincount(each, minlength=classes).cpu().numpy() for each in counts])


def near_contour(labels: Tensor, depth: int) -> Tensor:
    """Where labels H×W have another class, or the outside, within a square of that depth."""
    valid = labels != IGNORE
    high = _highest(torch.where(valid, labels, -IGNORE), depth)
    low = -_highest(torch.where(valid, -labels, -IGNORE), depth)
    is_near = high != low
    is_near[:depth], is_near[-depth:] = True, True
    is_near[:, :depth], is_near[:, -depth:] = True, True
    return is_near & valid


def _highest(values: Tensor, depth: int) -> Tensor:
    """The highest value in the square around each pixel."""
    width = 2 * depth + 1
    whole = values.float()[None, None]
    rows = functional.max_pool2d(whole, (1, width), stride=1, padding=(0, depth))
    return functional.max_pool2d(rows, (width, 1), stride=1, padding=(depth, 0))[0, 0]


def _mean(values: tuple[float, ...]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else float("nan")
