"""A confusion matrix as a page shows it: numbers for few classes, an image for many; pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import groupby

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.svg import element
from api.dashboard.trial_query import Shares
from api.dashboard.words import gettext as _
from tuner.spec.metrics import Confusion

LEGIBLE = 20  # classes up to which each cell has room for a number
LEVELS = 8
WORST = 12  # confusions that are listed
_FROM = (0.002, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.75)  # share at which each level begins


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """Pixels of one label taken for one class; `level` is how strongly it is shaded, from 0."""

    text: str
    count: int
    share: float | None
    level: int
    is_hit: bool


_EMPTY = MatrixCell("", 0, None, 0, is_hit=False)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Two classes that are confused: how many pixels, and which share of those of the label."""

    label: str
    predicted: str
    count: int
    of_label: float
    of_predicted: float


@dataclass(frozen=True, slots=True)
class ConfusionFigure:
    """The matrix: `rows` of cells where there is room for numbers, else `image`."""

    classes: tuple[str, ...]
    rows: tuple[tuple[MatrixCell, ...], ...]
    image: Markup | None
    mistakes: tuple[Mistake, ...]
    pixels: int


def confusion_figure(
    confusion: Confusion | None, classes: Sequence[str], shares: Shares
) -> ConfusionFigure | None:
    """Fold a matrix of which rows are labels and columns predictions; None where there is none."""
    if confusion is None or len(confusion) != len(classes):
        return None
    cells = _cells(confusion, shares)
    legible = len(classes) <= LEGIBLE
    return ConfusionFigure(
        classes=tuple(classes),
        rows=cells if legible else (),
        image=None if legible else _image(cells),
        mistakes=mistakes(confusion, classes),
        pixels=sum(map(sum, confusion)),
    )


def mistakes(confusion: Confusion, classes: Sequence[str]) -> tuple[Mistake, ...]:
    """The pairs of classes between which most pixels go wrong, the most first."""
    labelled = [sum(row) for row in confusion]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    wrong = [
        (count, label, other)
        for label, row in enumerate(confusion)
        for other, count in enumerate(row)
        if other != label and count
    ]
    return tuple(
        Mistake(classes[a], classes[b], count, count / labelled[a], count / predicted[b])
        for count, a, b in nsmallest(WORST, wrong, key=lambda one: (-one[0], one[1:]))
    )


def _cells(confusion: Confusion, shares: Shares) -> tuple[tuple[MatrixCell, ...], ...]:
    labelled = [sum(row) for row in confusion]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    most = max((count for row in confusion for count in row), default=0)
    found = []
    for label, row in enumerate(confusion):
        cells = []
        for other, count in enumerate(row):
            if not count:
                cells.append(_EMPTY)
                continue
            whole = {"recall": labelled[label], "precision": predicted[other], "counts": 0}[shares]
            share = count / whole if whole else None
            level = _logarithmic(count, most) if shares == "counts" else _level(share)
            text = _short(count) if shares == "counts" else _percent(share)
            cells.append(MatrixCell(text, count, share, level, is_hit=label == other))
        found.append(tuple(cells))
    return tuple(found)


def _level(share: float | None) -> int:
    return bisect_right(_FROM, share) if share is not None else 0


def _logarithmic(count: int, most: int) -> int:
    """Counts span many powers of ten: each level is one part of them."""
    if count == 0:
        return 0
    return max(1, math.ceil(LEVELS * math.log(count + 1) / math.log(most + 1)))


def _percent(share: float | None) -> str:
    """Whole percent without the sign; a dot for what rounds to nothing, empty for nothing."""
    if not share:
        return ""
    return "·" if share < 0.005 else f"{share * 100:.0f}"


def _short(count: int) -> str:
    """A count in four characters: 950, 9.5k, 12M."""
    if not count:
        return ""
    value, unit = float(count), ""
    for larger in ("k", "M", "G", "T", "P", "E"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"


def _image(cells: Sequence[Sequence[MatrixCell]]) -> Markup:
    """One path for each shade: neighbours of one shade are one rectangle, so it stays small."""
    size = len(cells)
    paths: dict[str, str] = {}
    for top, row in enumerate(cells):
        left = 0
        for shade, run in groupby(row, key=_shade):
            width = sum(1 for _ in run)
            if shade:
                paths[shade] = paths.get(shade, "") + f"M{left} {top}h{width}v1h-{width}z"
            left += width
    return element(
        "svg",
        *(element("path", class_=shade, d=data) for shade, data in sorted(paths.items())),
        class_="matrix",
        viewBox=f"0 0 {size} {size}",
        role="img",
        aria_label=_("Confusion matrix of %(classes)s; the largest confusions are listed beside it")
        % {"classes": spoken.quantity(size, "class")},
    )


def _shade(cell: MatrixCell) -> str:
    return f"{'hit' if cell.is_hit else 'miss'}{cell.level}" if cell.level else ""
