"""What disturbs a model: scores on images made worse, and classes that move with the image.

A model is consistent if mirroring or moving an image mirrors or moves its classes: the share of
pixels that keep theirs, at the size that inference begins with, over pixels whose label counts and
that both pictures show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.delivery.evaluation.corruption import KINDS, STRENGTHS, corrupted
from tuner.delivery.evaluation.scoring import Disturbance, Pass, confusion, halving
from tuner.spec import metrics
from tuner.training.data.split import ImageArray
from tuner.training.ignore import IGNORE

SHIFTS = (1, 2, 4, 8)  # pixels down and to the right


@dataclass(frozen=True, slots=True)
class Corruption:
    """Scores on images that one kind of change made worse, by strength from 1 to 5."""

    kind: str
    miou: tuple[float, ...]
    pixel_accuracy: tuple[float, ...]

    @property
    def mean_miou(self) -> float:
        """Mean over the strengths."""
        return sum(self.miou) / len(self.miou)


@dataclass(frozen=True, slots=True)
class Consistency:
    """The share of pixels that keep their class when the image is changed like this."""

    change: str
    share: float


@dataclass(frozen=True, slots=True)
class Robustness:
    """Every corruption, and every consistency."""

    corruptions: tuple[Corruption, ...]
    consistency: tuple[Consistency, ...]

    @property
    def mean_miou(self) -> float:
        """Mean over kinds and strengths."""
        return sum(each.mean_miou for each in self.corruptions) / len(self.corruptions)


def passes() -> int:
    """How often every image is changed and looked at."""
    return len(KINDS) * len(STRENGTHS) + len(_MOVES)


def disturb(run: Pass) -> Robustness:
    """Measure a model on worse images, and on mirrored and moved ones. Raises as `score`."""
    return Robustness(
        tuple(_corruption(run, kind) for kind in KINDS),
        halving(lambda at_once: _moved(run, at_once), run),
    )


def _corruption(run: Pass, kind: str) -> Corruption:
    found = []
    for strength in STRENGTHS:

        def worse(image: ImageArray, index: int, strength: int = strength) -> ImageArray:
            return corrupted(image, kind, strength, run.part.decoded.names[index])

        found.append(metrics.derive(confusion(run, worse), run.predictor.classes))
    return Corruption(
        kind,
        tuple(each["miou"] for each in found),
        tuple(each["pixel_accuracy"] for each in found),
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """A change of an image, and how classes H×W of it lie on those of the image as it was."""

    change: Disturbance
    aligned: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _moved(run: Pass, at_once: int) -> tuple[Consistency, ...]:
    """The share of pixels that keep their class, for every move."""
    same, total = dict.fromkeys(_MOVES, 0), dict.fromkeys(_MOVES, 0)
    for indices in run.batches(at_once):
        shapes = [run.image(index).shape for index in indices]
        sizes = [(shape[0], shape[1]) for shape in shapes]
        found = run.predictions(indices, sizes, at_once=at_once, change=None)
        before = [
            torch.where(_counted(run.part.label(index), size), each.classes.cpu(), -1)
            for index, size, each in zip(indices, sizes, found, strict=True)
        ]
        for name, move in _MOVES.items():
            after = run.predictions(indices, sizes, at_once=at_once, change=move.change)
            for classes, other in zip(before, after, strict=True):
                first, second = move.aligned(classes, other.classes.cpu())
                counted = first >= 0
                same[name] += int(((first == second) & counted).sum())
                total[name] += int(counted.sum())
                run.tick()
    return tuple(
        Consistency(name, same[name] / total[name] if total[name] else float("nan"))
        for name in _MOVES
    )


def _counted(label: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Where the label counts, at another size, by the nearest pixel."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(size, label.shape, strict=True)
    )
    return torch.from_numpy(label[np.ix_(rows, columns)] != IGNORE)


def _shifted(by: int) -> _Move:
    def change(image: ImageArray, index: int) -> ImageArray:
        """Moved down and to the right; its first row and column fill the gap."""
        moved = np.pad(image, ((by, 0), (by, 0), (0, 0)), mode="edge")
        return np.ascontiguousarray(moved[: image.shape[0], : image.shape[1]])

    def aligned(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        height, width = before.shape
        return before[: max(height - by, 0), : max(width - by, 0)], after[by:, by:]

    return _Move(change, aligned)


def _mirrored(axis: int) -> _Move:
    def change(image: ImageArray, index: int) -> ImageArray:
        mirrored: Any = np.flip(image, axis)  # whatever its type
        return np.ascontiguousarray(mirrored)

    return _Move(change, lambda before, after: (before, after.flip(axis)))


_MOVES = {
    "mirrored left to right": _mirrored(1),
    "mirrored top to bottom": _mirrored(0),
    **{f"moved by {by} pixel{'s' if by > 1 else ''}": _shifted(by) for by in SHIFTS},
}
