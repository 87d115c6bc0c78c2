"""Pictures of a few validation images, the same ones at every evaluation: what a sheet holds.

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
LONGEST_NAME = 120
SHEETS = frozenset({ArtifactKind.PREDICTIONS, ArtifactKind.PHOTOS, ArtifactKind.TRUTH})
PICTURES = SHEETS | {ArtifactKind.PREVIEW}  # what a browser may show

Box = tuple[int, int, int, int]  # left, top, width, height
_Side = Annotated[int, Field(ge=1, le=16_384)]
_Place = Annotated[int, Field(ge=0, le=16_384)]


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
        """Refuse images that are named twice, and boxes that overlap or leave the sheet."""
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
