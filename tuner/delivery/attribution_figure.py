"""An explanation as a picture: image, prediction, heat map, and what their colours mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tuner.configs.colours import colours
from tuner.delivery.attribution import Attribution
from tuner.delivery.explained import Target
from tuner.delivery.object_regions import ObjectRegions
from tuner.training.preview.sheet import Pixels
from tuner.wording import measure

_GAP, _MARGIN, _LINE = 10, 20, 19
_PAPER, _INK, _FAINT = (255, 255, 255), (26, 30, 36), (93, 102, 115)
_AGAINST, _FOR = (33, 102, 172), (178, 24, 43)  # ends of ColorBrewer's RdBu
_OPACITY = 0.4
_FADED = 0.35  # of the picture under a heat map
_BAR = 160
_CLIP = 99.5  # percentile at which colours are full: single pixels do not hide the rest


@dataclass(frozen=True, eq=False)
class PredictedImage:
    """An image as people see it, H×W×3, and what a model predicts, H×W."""

    shown: Pixels
    predicted: NDArray[np.integer]
    classes: tuple[str, ...]


def heat_map(shown: Pixels, values: NDArray[np.float32]) -> tuple[Pixels, float]:
    """Values over a faint grey picture, red for the class, blue against; and where red is full."""
    limit = float(np.percentile(np.abs(values), _CLIP)) or float(np.abs(values).max()) or 1.0
    share = np.clip(values / limit, -1, 1)[..., None]
    grey = shown.mean(axis=2, keepdims=True) * _FADED + 255 * (1 - _FADED)
    colour = np.where(share > 0, _FOR, _AGAINST)
    mixed = grey * (1 - np.abs(share)) + colour * np.abs(share)
    return _rounded(mixed), limit


def outlined(answer: PredictedImage, target: Target) -> Pixels:
    """The predicted classes over a picture, with a white and black line round the target."""
    palette = np.array(colours(len(answer.classes)), dtype=np.float64)
    mixed = (1 - _OPACITY) * answer.shown + _OPACITY * palette[answer.predicted]
    inner = _edges(target.pixels)
    outer = _edges(~target.pixels)
    mixed[outer], mixed[inner] = 0, 255
    return _rounded(mixed)


def attribution_figure(
    answer: PredictedImage, target: Target, found: Attribution, *, title: str = "", width: int = 420
) -> Image.Image:
    """Image, prediction and heat map side by side, with a legend; all are H×W of one image."""
    shown, predicted, classes = answer.shown, answer.predicted, answer.classes
    heat, limit = heat_map(shown, found.values)
    is_signed = bool((found.values < 0).any())
    panels = [
        ("image", shown),
        ("prediction", outlined(answer, target)),
        (f"for {'and against ' if is_signed else ''}'{target.name}'", heat),
    ]
    page = _Page(len(panels), shown.shape, width)
    draw = page.begin(title or f"Why '{target.name}'?", described(target, found), rows=1, foot=64)
    for column, (name, pixels) in enumerate(panels):
        page.panel(pixels, name, column, 0)
    seen = [int(label) for label in np.unique(predicted)]
    page.swatches(draw, [(classes[label], colours(len(classes))[label]) for label in seen])
    page.bar(draw, limit, is_signed=is_signed)
    return page.image


def described(target: Target, found: Attribution, *, where: str = "predicted as it") -> list[str]:
    """What is explained, how, and whether the values add up to it; `where` says which pixels."""
    count = int(target.pixels.sum())
    where = "of the region" if target.region else where
    score = measure(found.score)
    lines = [f"mean logit of '{target.name}' {score} over {count:,} pixels {where}", found.how]
    if found.baseline is not None and found.gap is not None:
        lines.append(
            f"the values add up to {measure(float(found.values.sum()))}; the logit less that of "
            f"the baseline is {measure(found.score - found.baseline)}"
        )
    return lines


def regions_figure(
    shown: Pixels, classes: Sequence[str], found: ObjectRegions, *, width: int = 240
) -> Image.Image:
    """A row for each class: its soft object region, and how much each pixel reads from it."""
    page = _Page(3, shown.shape, width)
    said = (
        "region: how much a position counts for the class's representation, brightest at its "
        "largest; relation: how much a pixel reads from it, red at 1"
    )
    page.begin("Object regions", [said], rows=len(classes), foot=0)
    for row, name in enumerate(classes):
        page.panel(shown, name, 0, row)
        region, relation = region_maps(shown, found, row)
        mean = float(found.relation[row].mean())
        page.panel(region, "region", 1, row)
        page.panel(relation, f"relation, on average {mean:.3f}", 2, row)
    return page.image


def region_maps(shown: Pixels, found: ObjectRegions, index: int) -> tuple[Pixels, Pixels]:
    """A class's soft object region, red at its largest, and how much each pixel reads from it."""
    size = (shown.shape[1], shown.shape[0])
    region = found.regions[index] / max(float(found.regions[index].max()), 1e-12)
    relation = found.relation[index]
    return _warm(shown, _resized(region, size)), _warm(shown, _resized(relation, size))


def _edges(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that are inside and have a neighbour that is not."""
    padded = np.pad(inside, 1, mode="edge")
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~whole


def _warm(shown: Pixels, values: NDArray[np.float32]) -> Pixels:
    share = np.clip(values, 0, 1)[..., None]
    grey = shown.mean(axis=2, keepdims=True) * _FADED + 255 * (1 - _FADED)
    return _rounded(grey * (1 - share) + np.array(_FOR) * share)


def _rounded(values: NDArray[np.floating]) -> Pixels:
    pixels: Pixels = np.rint(values).astype(np.uint8)
    return pixels


def _resized(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def _plain(text: str) -> str:
    """Text in signs that the font of Pillow has."""
    return text.translate({ord("×"): "x", ord("−"): "-", ord("…"): "...", ord("±"): "+-"})


class _Page:
    """A grid of panels of one size, under a heading and over a legend."""

    def __init__(self, columns: int, shape: tuple[int, ...], width: int) -> None:
        self._columns = columns
        self._size = (width, max(1, round(width * shape[0] / shape[1])))
        self._text = ImageFont.load_default(13)
        self._bold = ImageFont.load_default(17)

    def begin(
        self, title: str, said: Sequence[str], *, rows: int, foot: int
    ) -> ImageDraw.ImageDraw:
        """An empty page with its heading; `foot` is the height of the legend."""
        inner = self._columns * (self._size[0] + _GAP) - _GAP
        lines = [part for line in said for part in self._wrapped(_plain(line), inner)]
        self._top = _MARGIN + _LINE + 6 + _LINE * len(lines) + 6
        self._bottom = self._top + rows * (self._size[1] + _LINE + _GAP)
        height = self._bottom + foot + _MARGIN
        self.image = Image.new("RGB", (inner + 2 * _MARGIN, height), _PAPER)
        draw = ImageDraw.Draw(self.image)
        draw.text((_MARGIN, _MARGIN - 4), _plain(title), _INK, self._bold)
        for number, line in enumerate(lines):
            y = _MARGIN + _LINE + 4 + number * _LINE
            draw.text((_MARGIN, y), line, _FAINT, self._text)
        return draw

    def panel(self, pixels: Pixels, name: str, column: int, row: int) -> None:
        """A picture under its name, enlarged without blur."""
        x = _MARGIN + column * (self._size[0] + _GAP)
        y = self._top + row * (self._size[1] + _LINE + _GAP)
        grows = self._size[0] > pixels.shape[1]
        filtering = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
        ImageDraw.Draw(self.image).text((x, y), name, _INK, self._text)
        self.image.paste(Image.fromarray(pixels).resize(self._size, filtering), (x, y + _LINE))

    def swatches(
        self, draw: ImageDraw.ImageDraw, entries: Sequence[tuple[str, tuple[int, int, int]]]
    ) -> None:
        """Classes that occur, in one line as far as it goes."""
        x: float = _MARGIN
        for name, colour in entries:
            length = 24 + self._text.getlength(name) + 16
            if x + length > self.image.width - _MARGIN:
                draw.text((x, self._bottom), "...", _INK, self._text)
                break
            box = (x, self._bottom + 3, x + 17, self._bottom + 14)
            draw.rectangle(box, fill=colour, outline=_FAINT)
            draw.text((x + 24, self._bottom), name, _INK, self._text)
            x += length

    def bar(self, draw: ImageDraw.ImageDraw, limit: float, *, is_signed: bool) -> None:
        """The scale of the heat map, from against to for."""
        y = self._bottom + _LINE + 10
        low = -limit if is_signed else 0.0
        values = np.tile(np.linspace(low, limit, _BAR, dtype=np.float32), (14, 1))
        share = np.abs(values / limit)[..., None]
        colour = np.where(values[..., None] > 0, _FOR, _AGAINST)
        scale = _rounded(255 * (1 - share) + colour * share)
        left = f"against {measure(low)}" if is_signed else "0"
        draw.text((_MARGIN, y), left, _INK, self._text)
        x = _MARGIN + int(self._text.getlength(left)) + 8
        self.image.paste(Image.fromarray(scale), (x, y + 2))
        draw.rectangle((x - 1, y + 1, x + _BAR, y + 16), outline=_FAINT)
        said = f"for {measure(limit)} a pixel"
        draw.text((x + _BAR + 8, y), said, _INK, self._text)

    def _wrapped(self, text: str, width: int) -> list[str]:
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._text.getlength(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines
