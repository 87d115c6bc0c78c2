"""Draws what a config does to real samples: a sheet of images with their masks laid over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tuner.atomic import replacing
from tuner.configs.colours import Colour, class_colours
from tuner.spec.config import TrialConfig
from tuner.training.batches.augmentation import Augmentation, SampleSource, enabled
from tuner.training.data.cache import DecodedSplit
from tuner.training.ignore import IGNORE

Pixels = NDArray[np.uint8]
_OPACITY = 0.38
_HATCH = 8  # pixels between the stripes over what is ignored
_GAP, _MARGIN, _LINE = 8, 20, 20
_PAPER, _INK, _FAINT = (255, 255, 255), (26, 30, 36), (93, 102, 115)


@dataclass(frozen=True, slots=True)
class Look:
    """How much a sheet shows: samples are rows, epochs are columns; widths are in pixels."""

    samples: int = 4
    epochs: int = 3
    cell: int = 264
    device: str = "cpu"
    title: str = "Training samples"


def sheet(config: TrialConfig, split: DecodedSplit, look: Look = Look()) -> Image.Image:
    """Each sample as it is, and as the network sees it in the first epochs.

    The samples are spread evenly over the training split; what is ignored is striped. It draws
    nothing from any generator, so that it may be made while the trial trains.
    """
    indices = _spread(len(split), look.samples)
    columns = [_originals(split, indices)]
    columns += [_augmented(config, split, indices, epoch, look) for epoch in _epochs(look)]
    size = _cell_size(columns[0][0][0], look.cell)
    names = ["as it is", *(f"epoch {epoch}" for epoch in _epochs(look))]
    painter = _Painter(config.dataset.classes, class_colours(config.dataset), size)
    rows = [[painter.cell(*column[row]) for column in columns] for row in range(len(indices))]
    captions = [split.names[index] for index in indices]
    return painter.page(rows, names, captions, heading=(look.title, described(config)))


def write(path: Path, image: Image.Image) -> None:
    """Write a sheet in the format of its suffix; a reader sees the whole file or none.

    Raises:
        OSError: it cannot be written; names the path itself.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            image.save(draft, quality=82)
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error


def described(config: TrialConfig) -> str:
    """The augmentations that are on, with their strengths: `flip 0.5 · scale 0.5-2`."""
    found = [f"{name} {_strength(value)}" for name, value in enabled(config.augment.strengths)]
    return " · ".join(found) or "no augmentation"


def _strength(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "-".join(_strength(part) for part in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _epochs(look: Look) -> range:
    return range(1, look.epochs + 1)


def _spread(length: int, count: int) -> NDArray[np.int64]:
    shown = min(count, length)
    return ((np.arange(shown) + 0.5) * length / shown).astype(np.int64)


def _originals(split: DecodedSplit, indices: NDArray[np.int64]) -> list[tuple[Pixels, Pixels]]:
    return [
        (visible(np.asarray(split.images[index])), np.asarray(split.stacked_labels[index]))
        for index in indices
    ]


def _augmented(
    config: TrialConfig, split: DecodedSplit, indices: NDArray[np.int64], epoch: int, look: Look
) -> list[tuple[Pixels, Pixels]]:
    device = torch.device(look.device)

    def fetch(chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(np.asarray(split.images[chosen])).to(device)
        labels = torch.from_numpy(np.asarray(split.stacked_labels[chosen])).to(device)
        return images.permute(0, 3, 1, 2), labels

    augment = Augmentation(
        config.augment.strengths,
        seed=config.seed,
        size=config.dataset.size,
        source=SampleSource(len(split), fetch),
    )
    fill = torch.tensor(split.mean, dtype=torch.float32, device=device)
    pixels, labels = augment(*fetch(indices), epoch=epoch, indices=indices, fill=fill)
    images = pixels.permute(0, 2, 3, 1).cpu().numpy()
    marks = labels.to(torch.uint8).cpu().numpy()
    return [(visible(image), mark) for image, mark in zip(images, marks, strict=True)]


def visible(image: NDArray[Any]) -> Pixels:
    """The first three channels, or the first as grey, of height × width × channels."""
    shown = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
    pixels: Pixels = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return pixels


def _cell_size(image: Pixels, width: int) -> tuple[int, int]:
    """Width and height of a cell, which has the shape of the images."""
    return width, max(1, round(width * image.shape[0] / image.shape[1]))


class _Painter:
    """Draws cells of one size, and the page that holds them."""

    def __init__(
        self, classes: tuple[str, ...], colours: tuple[Colour, ...], size: tuple[int, int]
    ) -> None:
        self._classes = classes
        self._size = size
        self._colours = np.zeros((IGNORE + 1, 3), dtype=np.uint8)
        self._colours[: len(classes)] = colours
        self._text = ImageFont.load_default(13)
        self._small = ImageFont.load_default(12)
        self._bold = ImageFont.load_default(17)

    def cell(self, image: Pixels, labels: Pixels) -> Image.Image:
        """One image with its mask laid over, as large as fits."""
        width, height = self._size
        share = min(width / image.shape[1], height / image.shape[0])
        fitted = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
        small = np.asarray(Image.fromarray(image).resize(fitted, Image.Resampling.BILINEAR))
        marks = np.asarray(Image.fromarray(labels).resize(fitted, Image.Resampling.NEAREST))
        return Image.fromarray(self._overlaid(small, marks))

    def _overlaid(self, image: Pixels, marks: Pixels) -> Pixels:
        tinted = (1 - _OPACITY) * image + _OPACITY * self._colours[marks]
        edges = np.zeros(marks.shape, dtype=bool)
        edges[:, 1:] |= marks[:, 1:] != marks[:, :-1]
        edges[1:] |= marks[1:] != marks[:-1]
        tinted[edges] = 0.25 * image[edges] + 0.75 * self._colours[marks[edges]]
        return np.where((marks == IGNORE)[..., None], _striped(image), tinted).astype(np.uint8)

    def page(
        self,
        rows: list[list[Image.Image]],
        names: list[str],
        captions: list[str],
        *,
        heading: tuple[str, str],
    ) -> Image.Image:
        """Heading, column names, rows of cells with a caption below each, and the legend."""
        width, height = self._size
        step = (width + _GAP, height + _LINE + _GAP)
        inner = len(names) * step[0] - _GAP
        lines = [*_wrapped(heading[1], self._text, inner)]
        top = _MARGIN + _LINE + 8 + _LINE * len(lines)
        legend = self._legend(inner)
        bottom = top + _LINE + len(rows) * step[1]
        page = Image.new("RGB", (inner + 2 * _MARGIN, bottom + legend.height + _MARGIN), _PAPER)
        draw = ImageDraw.Draw(page)
        draw.text((_MARGIN, _MARGIN - 4), heading[0], _INK, self._bold)
        for number, line in enumerate(lines):
            draw.text((_MARGIN, _MARGIN + _LINE + 2 + number * _LINE), line, _FAINT, self._text)
        for column, name in enumerate(names):
            draw.text((_MARGIN + column * step[0], top), name, _INK, self._text)
        for row, cells in enumerate(rows):
            y = top + _LINE + row * step[1]
            for column, cell in enumerate(cells):
                x = _MARGIN + column * step[0]
                page.paste(cell, (x, y))
            caption = _shortened(captions[row], self._small, width)
            draw.text((_MARGIN, y + height + 1), caption, _FAINT, self._small)
        page.paste(legend, (_MARGIN, bottom))
        return page

    def _legend(self, width: int) -> Image.Image:
        """Every class with its colour, in as many lines as it takes."""
        entries = [*enumerate(self._classes), (IGNORE, "ignored")]
        wide = max(self._text.getlength(name) for _, name in entries) + 40
        columns = max(1, int(width // wide))
        lines = -(-len(entries) // columns)
        legend = Image.new("RGB", (width, lines * _LINE + 6), _PAPER)
        draw = ImageDraw.Draw(legend)
        for place, (label, name) in enumerate(entries):
            x, y = int(place % columns * wide), place // columns * _LINE + 6
            swatch = np.full((12, 18, 3), self._colours[label], dtype=np.uint8)
            swatch = _striped(np.full_like(swatch, 160)) if label == IGNORE else swatch
            legend.paste(Image.fromarray(swatch.astype(np.uint8)), (x, y + 1))
            draw.rectangle((x, y + 1, x + 17, y + 12), outline=_FAINT)
            draw.text((x + 24, y - 1), name, _INK, self._text)
        return legend


def _striped(image: Pixels) -> Pixels:
    """An image, faint under diagonal stripes."""
    rows, columns = np.indices(image.shape[:2])
    stripes = np.expand_dims((rows + columns) % _HATCH, -1) < 2
    faint = 0.45 * image + 0.55 * 128
    return np.where(stripes, 0.3 * faint + 0.7 * 235, faint).astype(np.uint8)


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    lines = [""]
    for part in text.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if lines[-1] and font.getlength(longer) > width:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _shortened(text: str, font: _Font, width: int) -> str:
    """The end of a name that is too long: file names differ there."""
    if font.getlength(text) <= width:
        return text
    while len(text) > 1 and font.getlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"
