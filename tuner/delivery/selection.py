"""Which models to average: greedy forward selection with replacement (Caruana et al. 2004).

It starts from the best few, adds the model that helps most, as often as it helps, and ends when
nothing helps. What it finds is never worse than the best single model on the pixels that it saw.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from tuner.spec.metrics import Confusion, compute
from tuner.spec.study import Objective

MOST_PICKS = 50
_START = 5  # models that it may begin with, the best of them together


@dataclass(frozen=True, eq=False)
class Candidates:
    """What M models say of P labelled pixels.

    `probabilities` are M×P×K, `labels` 0 … K-1, `images` the image of each pixel, and `stands_for`
    how many pixels of its class a pixel stands for, by class.
    """

    probabilities: NDArray[np.float16]
    labels: NDArray[np.uint8]
    images: NDArray[np.int32]
    stands_for: NDArray[np.float64]

    def of_images(self, chosen: NDArray[np.bool_]) -> "Candidates":
        """The pixels of some images, which are chosen by number."""
        kept = chosen[self.images]
        return replace(
            self,
            probabilities=self.probabilities[:, kept],
            labels=self.labels[kept],
            images=self.images[kept],
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Models in the order in which they were picked, with repeats, and the value of their mean."""

    picks: tuple[int, ...]
    value: float

    @property
    def weights(self) -> dict[int, float]:
        """The share of each member, the largest first."""
        counts = Counter(self.picks)
        return {index: count / len(self.picks) for index, count in counts.most_common()}


def select(
    candidates: Candidates, objective: Objective, classes: Sequence[str], *, most: int = MOST_PICKS
) -> Selection:
    """The members whose mean probability is best by the objective; the earlier of equal ones.

    A value that is not defined on these pixels is the worst one.
    """

    def key(scores: NDArray[np.float32]) -> float:
        value = _value(scores, candidates, objective.metric, classes)
        return inf if value is None else objective.key(value)

    alone = [key(_total(candidates, [index])) for index in range(len(candidates.probabilities))]
    order = sorted(range(len(alone)), key=alone.__getitem__)

    # The best prefix of the ranking; the shortest of equal ones.
    prefixes = [order[:length] for length in range(1, min(_START, len(order), most) + 1)]
    picks = min(prefixes, key=lambda each: key(_total(candidates, each)))
    total = _total(candidates, picks)
    best = key(total)
    while len(picks) < most:
        keys = [key(total + candidates.probabilities[index]) for index in order]
        at = int(np.argmin(keys))
        if not keys[at] < best:
            break
        best, picks = keys[at], [*picks, order[at]]
        total += candidates.probabilities[order[at]]
    return Selection(tuple(picks), value_of(candidates, picks, objective.metric, classes))


def held_out(
    candidates: Candidates, objective: Objective, classes: Sequence[str]
) -> tuple[float, float] | None:
    """Value of a selection, and of the best single model, on images that neither was chosen on.

    Even and odd images are exchanged and the two results averaged; None where a half has no value.
    """
    even = np.arange(int(candidates.images.max(initial=0)) + 1) % 2 == 0
    found = []
    for chosen in (even, ~even):
        seen, unseen = candidates.of_images(chosen), candidates.of_images(~chosen)
        if not len(seen.labels) or not len(unseen.labels):
            return None
        together = select(seen, objective, classes).picks
        single = select(seen, objective, classes, most=1).picks
        found.append(
            [value_of(unseen, picks, objective.metric, classes) for picks in (together, single)]
        )
    mean, alone = np.mean(found, axis=0)
    return (float(mean), float(alone)) if np.isfinite(found).all() else None


def value_of(
    candidates: Candidates, picks: Sequence[int], metric: str, classes: Sequence[str]
) -> float:
    """The metric of the mean of these models; NaN where it is not defined."""
    value = _value(_total(candidates, picks), candidates, metric, classes)
    return float("nan") if value is None else value


def confusion_of(scores: NDArray[np.float32], candidates: Candidates) -> Confusion:
    """K×K counts of the class with the highest score, each row as many pixels as it stands for."""
    outputs = scores.shape[1]
    pairs = candidates.labels.astype(np.int64) * outputs + scores.argmax(axis=1)
    counts = np.bincount(pairs, minlength=outputs**2).reshape(outputs, outputs)
    scaled: list[list[int]] = np.rint(counts * candidates.stands_for[:, None]).astype(int).tolist()
    return scaled


def _total(candidates: Candidates, picks: Sequence[int]) -> NDArray[np.float32]:
    """Sums of the models' probabilities, P×K: their mean except for a factor."""
    total = np.zeros(candidates.probabilities.shape[1:], dtype=np.float32)
    for index in picks:
        total += candidates.probabilities[index]
    return total


def _value(
    scores: NDArray[np.float32], candidates: Candidates, metric: str, classes: Sequence[str]
) -> float | None:
    return compute(metric, confusion_of(scores, candidates), classes)
