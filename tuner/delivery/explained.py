"""What of a model's answer is to be explained: a class, and the pixels at which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InvalidInput, Problem
from tuner.spec.config import Size
from tuner.spec.hints import nearest
from tuner.wording import percent

ImageRegion = tuple[int, int, int, int]  # left, top, width, height
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Target:
    """A class by index and name, and the pixels H×W whose mean logit is explained.

    `region` is the rectangle that was asked for, in the same pixels, if one was.
    """

    index: int
    name: str
    pixels: NDArray[np.bool_]
    region: ImageRegion | None = None


def choose(
    predicted: NDArray[np.integer],
    classes: Sequence[str],
    *,
    name: str | None = None,
    region: ImageRegion | None = None,
) -> Target:
    """The target of a request: pixels of the region, or those that are predicted as the class.

    Without a class it is the one that is predicted most, in the region if there is one.

    Raises:
        InvalidInput: no class is called so, the region is not within the image, or no pixel is
            predicted as the class.
    """
    inside = np.ones(predicted.shape, dtype=bool)
    if region is not None:
        left, top, width, height = region
        inside[:] = False
        inside[top : top + height, left : left + width] = True
    counts = np.bincount(predicted[inside].reshape(-1), minlength=len(classes))
    index = int(counts.argmax()) if name is None else class_index(name, classes)
    if region is not None:
        return Target(index, classes[index], inside, region)
    if not counts[index]:
        seen = np.argsort(-counts, kind="stable")[:_SHOWN]
        shares = [f"{classes[k]} {percent(counts[k] / counts.sum())}" for k in seen if counts[k]]
        raise InvalidInput(
            [
                Problem(
                    ("--class",),
                    f"no pixel of the image is predicted as '{classes[index]}'; predicted are: "
                    f"{', '.join(shares)}; name one of these, or a --region whose pixels are meant",
                )
            ]
        )
    return Target(index, classes[index], predicted == index)


def scaled(region: ImageRegion, image: Size, size: Size) -> ImageRegion:
    """A region of an image as one of the image at another size, of one pixel at least.

    Raises:
        InvalidInput: it is not within the image.
    """
    left, top, width, height = region
    tall, wide = image
    if min(width, height) < 1 or min(left, top) < 0 or left + width > wide or top + height > tall:
        raise InvalidInput(
            [
                Problem(
                    ("--region",),
                    f"x,y,w,h = {left},{top},{width},{height} is not within the image of "
                    f"{wide}×{tall} pixels; x counts from the left, y from the top",
                )
            ]
        )
    down, across = size[0] / tall, size[1] / wide
    x, y = int(left * across), int(top * down)
    right, bottom = round((left + width) * across), round((top + height) * down)
    return x, y, max(right - x, 1), max(bottom - y, 1)


def parse_region(text: str) -> ImageRegion:
    """`x,y,w,h` as four whole numbers. Raises InvalidInput."""
    parts = text.split(",")
    if len(parts) == 4 and all(part.strip().lstrip("-").isdecimal() for part in parts):
        left, top, width, height = (int(part) for part in parts)
        return left, top, width, height
    message = f"write x,y,w,h in pixels of the image, as in 40,100,64,32, not '{text}'"
    raise InvalidInput([Problem(("--region",), message)])


def class_index(name: str, classes: Sequence[str], *, option: str = "--class") -> int:
    """Where a class stands among those of a model. Raises InvalidInput."""
    if name not in classes:
        message = f"the model has no class '{name}'; {nearest(name, classes)}"
        raise InvalidInput([Problem((option,), message)])
    return list(classes).index(name)
