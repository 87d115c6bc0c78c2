"""A few validation images, the same ones at every evaluation: what a sheet holds.

A sheet is one file with a box for each image. Of photos it is a WebP; of labels it is a PNG of
8 bits whose palette index is the class, and 255 is ignored.
"""

from itertools import combinations
from typing import Annotated

from pydantic import Field, model_validator

from tuner.spec.config import Section
from tuner.spec.kinds import ArtifactKind

EXAMPLES = 8  # images that a study keeps predictions of, where it does not say
MOST = 32
SIDE = 512  # pixels of an image's longer side on a sheet, at most
_AREA = SIDE * SIDE * MOST  # of a whole sheet, which a page decodes
LONGEST_NAME = 120
SHEETS = frozenset({ArtifactKind.PREDICTIONS, ArtifactKind.PHOTOS, ArtifactKind.TRUTH})
PICTURES = SHEETS | {ArtifactKind.PREVIEW}  # what a browser may show

PNG_HEAD = 33  # bytes: the signature, and the first chunk with the size

Box = tuple[int, int, int, int]  # left, top, width, height
_Side = Annotated[int, Field(ge=1, le=SIDE * MOST)]
_Place = Annotated[int, Field(ge=0, le=SIDE * MOST)]


class Example(Section):
    """One validation image on a sheet."""

    index: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        description="Its place in the validation split"
    )
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,120}$")] = Field(
        description="Its name in the data set, of which the end where it is long"
    )
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        description="Height and width of its label"
    )
    box: tuple[_Place, _Place, _Side, _Side] = Field(
        description="Left, top, width and height of its place on the sheet"
    )
    miou: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Of its prediction, over all of its pixels; None where it is not scored",
    )


class SheetDetails(Section):
    """What lies where on a sheet."""

    width: _Side
    height: _Side
    images: Annotated[tuple[Example, ...], Field(min_length=1, max_length=MOST)]

    @model_validator(mode="after")
    def _check(self) -> "SheetDetails":
        """Refuse a sheet too large, images named twice, boxes that overlap or leave the sheet."""
        if self.width * self.height > _AREA:
            raise ValueError(
                f"a sheet of {self.width}×{self.height} is larger than that of the most "
                f"images, {MOST} of {SIDE}×{SIDE}; draw fewer images, or smaller ones"
            )
        indices = [image.index for image in self.images]
        if len(set(indices)) < len(indices):
            raise ValueError(f"an image is listed more than once: {sorted(indices)}")
        for number, image in enumerate(self.images):
            left, top, width, height = image.box
            if left + width > self.width or top + height > self.height:
                raise ValueError(
                    f"box {number}, {list(image.box)}, leaves the sheet of {self.width}×"
                    f"{self.height}"
                )
        for (one, first), (other, second) in combinations(enumerate(self.images), 2):
            if _overlap(first.box, second.box):
                raise ValueError(f"boxes {one} and {other} overlap")
        return self


def _overlap(first: Box, second: Box) -> bool:
    left, top, width, height = first
    other_left, other_top, other_width, other_height = second
    return (
        left < other_left + other_width
        and other_left < left + width
        and top < other_top + other_height
        and other_top < top + height
    )


def png_fault(head: bytes, width: int, height: int) -> str | None:
    """What is wrong with the head of a file that is to be a sheet of labels; None for nothing."""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR" or len(head) < PNG_HEAD:
        return "the file is not a PNG"
    size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if size != (width, height):
        return f"the PNG is {size[0]}×{size[1]}, and its details say {width}×{height}"
    if head[24:29] != bytes((8, 3, 0, 0, 0)):
        return "the PNG does not hold a palette's indices of 8 bits, without interlacing"
    return None
