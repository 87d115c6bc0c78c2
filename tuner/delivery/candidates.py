"""What models say of a validation split, at as many of its pixels as fit in a bound of memory.

Where the split has more pixels than that, every class gets the same number of them, and a pixel
stands for as many of its class as were left out: rare classes are kept whole, and the counts are
right on average. Which pixels those are depends on the split alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.delivery.ensemble import probabilities
from tuner.delivery.predictor import Predictor
from tuner.delivery.selection import Candidates
from tuner.errors import Diverged
from tuner.spec.messages import ConfusionMatrix
from tuner.training.data.cache import DecodedSplit
from tuner.training.evaluate import count
from tuner.training.ignore import IGNORE
from tuner.training.network.resize import resize

MEMORY = 256 * 2**20  # bytes of probabilities, of all models together


@dataclass(frozen=True, eq=False)
class _Places:
    """Chosen pixels: by image their positions in its flat label, and what all are labelled."""

    positions: tuple[NDArray[np.int64], ...]
    labels: NDArray[np.uint8]
    stands_for: NDArray[np.float64]

    @property
    def images(self) -> NDArray[np.int32]:
        counts = [len(each) for each in self.positions]
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def gather(
    models: Sequence[Callable[[], Predictor]],
    split: DecodedSplit,
    *,
    memory: int = MEMORY,
    done: Callable[[int, int], None] = lambda model, image: None,
) -> Candidates:
    """Probabilities of every model at the chosen pixels of a split; one model is open at a time.

    Args:
        models: opens each of them.
        memory: bytes that the probabilities may take.
        done: is told the number of the model and of the image that were scored.

    Raises:
        Diverged: a model's output is not finite.
        DataError, TrainingError: as the model that is opened does.
    """
    outputs = len(split.class_pixels)
    budget = max(memory // (len(models) * outputs * np.dtype(np.float16).itemsize), outputs)
    places = _places(split, rates(split.class_pixels, budget))
    found = np.empty((len(models), len(places.labels), outputs), dtype=np.float16)
    for number, open_one in enumerate(models):
        model = open_one()
        start = 0
        for index, chosen in enumerate(places.positions):
            scores = _probabilities(model, split, index)
            height, width = split.shapes[index]
            flat = resize(scores, (height, width)).reshape(outputs, -1)  # K×HW at label size
            end = start + len(chosen)
            found[number, start:end] = flat[:, torch.from_numpy(chosen)].T.cpu().numpy()
            start = end
            done(number, index)
    return Candidates(found, places.labels, places.images, places.stands_for)


def rates(class_pixels: Sequence[int], budget: int) -> NDArray[np.float64]:
    """Share of each class's pixels to keep, so that about `budget` are kept: rare classes whole."""
    counts = np.asarray(class_pixels, dtype=np.float64)
    if counts.sum() <= budget:
        return np.ones(len(counts))
    # What a class does not need goes to the larger ones: the level of a fluid over its bed.
    level, left = 0.0, float(budget)
    rising = np.sort(counts[counts > 0])
    for index, size in enumerate(rising):
        level = left / (len(rising) - index)
        if size > level:
            break
        left -= size
    return np.minimum(1.0, level / np.maximum(counts, 1.0))


def score(
    predictor: Predictor, split: DecodedSplit, done: Callable[[int], None] = lambda image: None
) -> ConfusionMatrix:
    """K×K counts of a predictor over all pixels of a split, at label resolution.

    Raises:
        Diverged: its output is not finite.
    """
    outputs = len(split.class_pixels)
    counts = torch.zeros(outputs * outputs, dtype=torch.int64)
    for index in range(len(split)):
        logits = predictor.logits(_image(split, index))
        _check_finite(logits, predictor)
        label = torch.from_numpy(split.label(index)).to(logits.device)
        counts += count(logits, label, outputs, align_corners=predictor.align_corners).cpu()
        done(index)
    return tuple(tuple(row) for row in counts.view(outputs, outputs).tolist())


def _probabilities(model: Predictor, split: DecodedSplit, index: int) -> Tensor:
    found = probabilities(model, _image(split, index))
    _check_finite(found, model)
    return found


def _check_finite(scores: Tensor, model: Predictor) -> None:
    if not bool(torch.isfinite(scores).all()):
        raise Diverged(f"the output of {model.name} on the validation split is not finite")


def _image(split: DecodedSplit, index: int) -> Tensor:
    """One image as 1×C×H×W in 0 … 255."""
    pixels = torch.from_numpy(np.asarray(split.images[index]))
    return pixels.permute(2, 0, 1)[None].float()


def _places(split: DecodedSplit, kept: NDArray[np.float64]) -> _Places:
    """Draw pixels of each class at its rate; ignored ones never."""
    by_label = np.zeros(256)
    by_label[: len(kept)] = kept
    by_label[IGNORE] = 0.0
    numbers = np.random.default_rng(0)
    positions, labels = [], []
    for flat in _flat_labels(split):
        rate = by_label[flat]
        chosen = np.flatnonzero(numbers.random(len(flat)) < rate)
        positions.append(chosen)
        labels.append(flat[chosen])
    return _Places(tuple(positions), np.concatenate(labels), 1 / np.maximum(kept, 1e-12))


def _flat_labels(split: DecodedSplit) -> Iterator[NDArray[np.uint8]]:
    for index in range(len(split)):
        yield np.asarray(split.label(index)).reshape(-1)
