"""Segments images and videos in files: read as in training, labelled at their own size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tuner.atomic import replacing
from tuner.configs.colours import colours
from tuner.delivery.file_model import FileModel
from tuner.delivery.image_input import check_channels, read_pixels
from tuner.delivery.inputs import InputFile
from tuner.delivery.needs import require
from tuner.delivery.predictor import Predictor, checked
from tuner.errors import DataError, Diverged, StorageError
from tuner.training.data.cache import fit
from tuner.training.data.split import ImageArray
from tuner.training.network.resize import resize

Drawing = Literal["overlay", "mask", "colour"]
_SHARE = 0.5  # of the colour in an overlay
_RGB = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be segmented, and why."""

    path: Path
    reason: str


@dataclass(slots=True)
class Tally:
    """What was written, and what failed."""

    written: int = 0
    failures: list[Failure] = field(default_factory=list)

    def fail(self, path: Path, reason: str) -> None:
        """An input failed; of a video's frames the first one is named."""
        if all(each.path != path for each in self.failures):
            self.failures.append(Failure(path, reason))


@dataclass(frozen=True, slots=True)
class Sink:
    """Where results go, what they look like, and how many images pass the network at once."""

    folder: Path
    look: Drawing = "overlay"
    batch: int = 8


@dataclass(frozen=True, slots=True)
class _Item:
    source: Path
    target: Path
    pixels: ImageArray


def predict(
    model: Predictor,
    sources: Sequence[InputFile],
    sink: Sink,
    advance: Callable[[], None] = lambda: None,
) -> Tally:
    """Segment all sources; a broken one stops no other. `advance` is called after each.

    Raises:
        PackageMissing: a video, and no package that reads it.
        StorageError: a result cannot be written.
    """
    tally, waiting = Tally(), list[_Item]()
    palette = np.array(_palette(model), dtype=np.uint8)
    for source in sources:
        try:
            for item in _items(model, source):
                waiting.append(item)
                if len(waiting) == sink.batch:
                    _write_all(model, waiting, sink, palette, tally)
                    waiting.clear()
        except (DataError, OSError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            tally.fail(source.path, reason)
        advance()
    if waiting:
        _write_all(model, waiting, sink, palette, tally)
    return tally


def _items(model: Predictor, source: InputFile) -> Iterator[_Item]:
    """The images of a source, checked. Raises DataError, OSError."""
    if source.is_video:
        for number, frame in _frames(source.path):
            target = source.target / f"{number:06d}.png"
            check_channels(source.path, frame, model)
            yield _Item(source.path, target, frame)
    else:
        yield _Item(source.path, source.target, read_pixels(source.path, model))


def _frames(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """RGB frames of a video, counted from 1. Raises DataError, PackageMissing."""
    cv2 = require("cv2", purpose="reading videos", extra="video")
    video = cv2.VideoCapture(str(path))
    try:
        number = 0
        while True:
            there, frame = video.read()
            if not there:
                break
            number += 1
            yield number, np.ascontiguousarray(frame[..., ::-1])
        if number == 0:
            raise DataError(f"{path.name} is not a video that can be read here; no frame came")
    finally:
        video.release()


def _write_all(
    model: Predictor,
    items: Sequence[_Item],
    sink: Sink,
    palette: NDArray[np.uint8],
    tally: Tally,
) -> None:
    try:
        labels = label(model, [item.pixels for item in items])
    except Diverged as error:
        if len(items) == 1:
            tally.fail(items[0].source, str(error))
            return
        for item in items:  # to know which
            _write_all(model, [item], sink, palette, tally)
        return
    for item, found in zip(items, labels, strict=True):
        figure = _drawn(item.pixels, found, sink.look, palette)
        target = sink.folder / item.target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as draft:
                figure.save(draft, format="PNG")
        except OSError as error:
            raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    tally.written += len(items)


@torch.inference_mode()
def label(model: Predictor, images: Sequence[ImageArray]) -> list[NDArray[np.uint8]]:
    """Labels h×w of images h×w×C of any sizes, as validation scores them.

    Images are resized to the size that the model was trained at, and logits to each image's own.

    Raises:
        Diverged: the model's output for one of them is not finite.
    """
    resized = [fit(image, model.size, Image.Resampling.BILINEAR) for image in images]
    batch = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float()  # N×C×H×W
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    if isinstance(model, FileModel) and model.gives_labels:
        given = model.labels(batch).numpy()
        nearest = Image.Resampling.NEAREST
        return [fit(each, size, nearest) for each, size in zip(given, sizes, strict=True)]
    logits = checked(model.logits(batch))
    return [
        _best(logits[index : index + 1], size, align_corners=model.align_corners)
        for index, size in enumerate(sizes)
    ]


def _best(logits: Tensor, size: tuple[int, int], *, align_corners: bool) -> NDArray[np.uint8]:
    full = resize(logits, size, align_corners=align_corners)
    found: NDArray[np.uint8] = full.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
    return found


def _drawn(
    pixels: ImageArray, labels: NDArray[np.uint8], look: Drawing, palette: NDArray[np.uint8]
) -> Image.Image:
    """The result as an image of the input's size."""
    if look == "mask":
        return Image.fromarray(labels)
    coloured = palette[labels]
    if look == "colour":
        return Image.fromarray(coloured)
    shown = pixels[..., :_RGB] if pixels.shape[2] >= _RGB else pixels[..., :1]
    whole: NDArray[Any] = np.broadcast_to(shown, coloured.shape).astype(np.float32).clip(0, 255)
    mixed = (1 - _SHARE) * whole + _SHARE * coloured
    return Image.fromarray(mixed.round().astype(np.uint8))


def _palette(model: Predictor) -> Sequence[tuple[int, int, int]]:
    return model.facts.palette if isinstance(model, FileModel) else colours(len(model.classes))
