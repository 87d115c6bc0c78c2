"""A few validation images on sheets, and what each evaluation makes of them.

The predictions are kept from the pass that scores them. They are drawn and written in a thread of
its own, and nothing that goes wrong there is the training's business.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tuner.atomic import replacing
from tuner.configs.colours import class_colours
from tuner.spec.config import DatasetConfig, Size
from tuner.spec.examples import LONGEST_NAME, SIDE, Box, Example, SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.metrics import compute
from tuner.training import draws
from tuner.training.data.cache import DecodedSplit
from tuner.training.ignore import IGNORE
from tuner.training.preview.sheet import visible
from tuner.training.process_group import ProcessGroup

logger = logging.getLogger(__name__)
_COLUMNS = 8
_QUALITY = 80
_UNLABELLED = (128, 128, 128)
_Labels = NDArray[np.uint8]


class Tell(Protocol):
    """Hears that a sheet lies on disk; the step is that of the evaluation, if it is of one."""

    def __call__(  # noqa: D102
        self, kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None
    ) -> None: ...


class Examples:
    """Some images of a validation split, on sheets in a folder.

    It is a context: at its end all that was asked for is written and told.
    """

    def __init__(
        self, split: DecodedSplit, dataset: DatasetConfig, count: int, folder: Path, tell: Tell
    ) -> None:
        """`tell` is called from a thread of its own."""
        self._split, self._dataset, self._folder, self._tell = split, dataset, folder, tell
        self.indices = chosen(split.names, count)
        self._sizes = tuple(fitted(split.shapes[index]) for index in self.indices)
        self._size, self._boxes = layout(self._sizes)
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="examples")

    def __enter__(self) -> "Examples":
        """Begin with the photos and their labels."""
        self._submit(self._draw_photos)
        self._submit(self._draw_truth)
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the thread."""
        self._pool.shutdown()

    def watch(self, index: int, predicted: Tensor, counts: Tensor) -> None:
        """Keep the H×W predictions and flat K·K counts of an image if it is one of them."""
        if index in self.indices:
            size = self._sizes[self.indices.index(index)]
            self._seen[index] = reduced(predicted, size).to(torch.uint8), counts

    def gather(self, group: ProcessGroup) -> None:
        """Bring what all ranks have seen to the first, in the thread that trains."""
        # Off the device, which was just waited for.
        seen = {i: (labels.cpu(), counts.cpu()) for i, (labels, counts) in self._seen.items()}
        everything = group.gathered(seen)
        self._seen = {}
        if group.rank.is_first:
            for part in everything:
                self._seen |= part

    def publish(self, step: int) -> None:
        """Draw what was gathered since the last time, as the predictions of that step."""
        seen, self._seen = self._seen, {}
        if len(seen) == len(self.indices):
            self._submit(lambda: self._draw_predictions(seen, step))

    def _submit(self, draw: Callable[[], None]) -> None:
        if not self.indices:
            return

        def guarded() -> None:
            try:
                draw()
            except Exception:
                logger.warning("a sheet of examples was not drawn", exc_info=True)

        self._pool.submit(guarded)

    def _draw_photos(self) -> None:
        sheet = Image.new("RGB", self._size[::-1])
        for index, box in zip(self.indices, self._boxes, strict=True):
            image = Image.fromarray(visible(np.asarray(self._split.images[index])))
            sheet.paste(image.resize(box[2:], Image.Resampling.BILINEAR), box[:2])
        self._write(ArtifactKind.PHOTOS, sheet, "photos.webp", {}, None)

    def _draw_truth(self) -> None:
        labels = [
            reduced(torch.from_numpy(self._split.label(index)), size).numpy()
            for index, size in zip(self.indices, self._sizes, strict=True)
        ]
        self._write(ArtifactKind.TRUTH, self._indexed(labels), "truth.png", {}, None)

    def _draw_predictions(self, seen: Mapping[int, tuple[Tensor, Tensor]], step: int) -> None:
        sheet = self._indexed([seen[index][0].numpy() for index in self.indices])
        scores = {index: self._score(counts) for index, (_, counts) in seen.items()}
        name = f"predictions-{step}.png"
        self._write(ArtifactKind.PREDICTIONS, sheet, name, scores, step)

    def _score(self, counts: Tensor) -> float | None:
        classes = self._dataset.classes
        return compute("miou", counts.view(len(classes), -1).tolist(), classes)

    def _indexed(self, labels: Sequence[_Labels]) -> Image.Image:
        """Labels in their boxes, as colours of a palette whose index is the label."""
        pixels = np.full(self._size, IGNORE, dtype=np.uint8)
        for each, (left, top, width, height) in zip(labels, self._boxes, strict=True):
            pixels[top : top + height, left : left + width] = each
        sheet = Image.fromarray(pixels, mode="P")
        table = np.full((IGNORE + 1, 3), _UNLABELLED, dtype=np.uint8)
        table[: len(self._dataset.classes)] = class_colours(self._dataset)
        sheet.putpalette(table.tobytes())
        return sheet

    def _write(
        self,
        kind: ArtifactKind,
        sheet: Image.Image,
        name: str,
        scores: Mapping[int, float | None],
        step: int | None,
    ) -> None:
        path = self._folder / name
        options: dict[str, Any] = {"format": "PNG", "bits": 8, "transparency": IGNORE}
        if kind is ArtifactKind.PHOTOS:
            options = {"format": "WEBP", "quality": _QUALITY}
        with replacing(path) as draft:
            sheet.save(draft, **options)
        self._tell(kind, path, self._details(scores), step)

    def _details(self, scores: Mapping[int, float | None]) -> SheetDetails:
        images = tuple(
            Example(
                index=index,
                name=printable(self._split.names[index]),
                size=self._split.shapes[index],
                box=box,
                miou=scores.get(index),
            )
            for index, box in zip(self.indices, self._boxes, strict=True)
        )
        return SheetDetails(width=self._size[1], height=self._size[0], images=images)


def chosen(names: Sequence[str], count: int) -> tuple[int, ...]:
    """Places of so many images, by a counted draw from their names alone.

    Each name has its own number, and the least of them are taken: whoever takes fewer takes some of
    the same, and images that come to a data set move few of the others out.
    """
    order = sorted(range(len(names)), key=lambda place: draws.seed_of("example", names[place]))
    return tuple(order[:count])


def fitted(size: Size) -> Size:
    """Height and width of an image on a sheet: its own, or as large as `SIDE` allows."""
    longest = max(size)
    if longest <= SIDE:
        return size
    height, width = (max(1, round(side * SIDE / longest)) for side in size)
    return height, width


def layout(sizes: Sequence[Size]) -> tuple[Size, tuple[Box, ...]]:
    """Height and width of a sheet, and the boxes of images of these heights and widths, in rows."""
    boxes: list[Box] = []
    right = top = 0
    for start in range(0, len(sizes), _COLUMNS):
        left, row = 0, sizes[start : start + _COLUMNS]
        for height, width in row:
            boxes.append((left, top, width, height))
            left += width
        right, top = max(right, left), top + max(height for height, _ in row)
    return (top, right), tuple(boxes)


def reduced(labels: Tensor, size: Size) -> Tensor:
    """H×W labels at another height and width: each pixel is the one at its middle."""
    if tuple(labels.shape) == size:
        return labels
    rows, columns = (
        torch.arange(new, device=labels.device)
        .mul_(2)
        .add_(1)
        .mul_(old)
        .div_(2 * new, rounding_mode="floor")
        for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def printable(name: str) -> str:
    """The end of a file's name, without what cannot be shown."""
    sound = name.encode("utf-8", "replace").decode()
    shown = "".join("?" if ord(letter) < 32 or ord(letter) == 127 else letter for letter in sound)
    return shown[-LONGEST_NAME:] or "?"
