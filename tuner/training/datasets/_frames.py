"""For which pixels an annotation's coordinates are meant: of what size, and turned how.

Images are read upright, as their EXIF tag says. Tools that show them in a browser annotate them
upright too; tools that read the bare pixels annotate them as stored. Where the height and width
that come with the annotations tell which it was, they are followed; else somebody has to say it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuner.errors import DataError
from tuner.spec.config import Size
from tuner.training.data.regions import dimensions

Exif = Literal["", "upright", "stored"]
_ORIENTATION = 0x0112
_SWAPS = frozenset({5, 6, 7, 8})  # height and width change places
# What to do with stored pixels, by the EXIF tag, so that they are upright.
_TURNS: Mapping[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Draw what is meant for `stated` pixels on `size` pixels, and turn these by `turn`."""

    stated: Size
    size: Size
    turn: int = 1

    def upright(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """What was drawn, turned as the image was."""
        turn = _TURNS.get(self.turn)
        return pixels if turn is None else turn(pixels)


def orientation(path: Path) -> int:
    """The EXIF orientation of an image file that could be read; 1 where it is not turned."""
    with suppress(OSError, SyntaxError, ValueError), Image.open(path) as opened:
        found = opened.getexif().get(_ORIENTATION, 1)
        return found if found in _TURNS else 1
    return 1


def frame(
    stated: Size | None, upright: Size, turn: int, *, exif: Exif = "", rescale: bool = False
) -> Frame:
    """The frame of annotations that state a height and width, or none, for an image.

    `upright` is the image's size as it is read, `turn` its EXIF orientation. With `rescale`, an
    image that was resized after it was annotated is taken if its shape is the same.

    Raises:
        DataError: the sizes do not agree, or do not tell how a turned image was annotated.
    """
    stored = (upright[1], upright[0]) if turn in _SWAPS else upright
    if turn not in _TURNS:
        possible = {"upright": upright}
    elif exif:
        possible = {exif: upright if exif == "upright" else stored}
    else:
        possible = {"upright": upright, "stored": stored}
    fitting = {way: size for way, size in possible.items() if stated in (None, size)}
    if rescale and not fitting:
        fitting = {way: size for way, size in possible.items() if _is_alike(stated, size)}
    if len(fitting) > 1:
        reason = (
            f"the stated size {dimensions(stated)} fits both" if stated else "no size is stated"
        )
        raise DataError(
            f"its EXIF tag turns the image (orientation {turn}), and whether it was annotated "
            f"upright or as it is stored cannot be known, because {reason}; write `exif: upright` "
            "in the data set, which is what browsers show, or `exif: stored`, or turn the pixels"
        )
    if not fitting:
        raise DataError(_mismatch(stated, possible, upright, rescale=rescale))
    ((way, size),) = fitting.items()
    return Frame(stated or size, size, turn if way == "stored" else 1)


def _is_alike(stated: Size | None, size: Size) -> bool:
    """Whether the sizes have one shape, give or take a pixel."""
    if stated is None:
        return False
    return abs(stated[0] * size[1] - stated[1] * size[0]) <= sum(stated)


def _mismatch(
    stated: Size | None, possible: Mapping[str, Size], upright: Size, *, rescale: bool
) -> str:
    sizes = " or ".join(dict.fromkeys(dimensions(size) for size in possible.values()))
    wrong = (
        f"the annotations are for an image of {dimensions(stated or upright)}, but the file is "
        f"{sizes} (height×width)"
    )
    if rescale:
        return f"{wrong}, which is another shape: it was cropped, or belongs to other annotations"
    return (
        f"{wrong}; if the images were resized after they were annotated, write `rescale: true` "
        "in the data set, else put the annotated images there"
    )
