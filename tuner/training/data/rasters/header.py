"""What an image file is: its type by its first bytes, its size, channels, depth and losses."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from tuner.errors import DataError
from tuner.training import paths

ColourKind = Literal["grey", "rgb", "palette", "bands", "other"]
Reader = Literal["numpy", "pillow", "tifffile", "imagecodecs"]


@dataclass(frozen=True, slots=True)
class Header:
    """A file before its pixels are decoded; height and width are those of the upright image.

    `channels` counts the alpha channel; `frames` counts images, not their reduced copies;
    `lossy` names a compression that changes values, `scaled` a depth that is spread on reading,
    `space` a colour space that has to be converted.
    """

    kind: str
    height: int
    width: int
    colour: ColourKind
    channels: int
    dtype: np.dtype[Any]
    has_alpha: bool = False
    frames: int = 1
    orientation: int = 1
    lossy: str = ""
    scaled: str = ""
    space: str = ""
    nodata: float | None = None
    reader: Reader = "pillow"
    page: int = 0

    @property
    def form(self) -> str:
        """Channels and depth in words."""
        return f"{self.channels} channel{'s' * (self.channels != 1)} of {self.dtype.name}"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what Pillow, NumPy and the other readers say of a file as DataError.

    What the system says of it, no permission or a failing disk, concerns this machine alone.
    """
    try:
        yield
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path.name}: too many pixels ({error}); cut it into tiles") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path.name}: cannot be read: damaged, or in an unknown form; save it again"
        ) from error
    except Exception as error:  # a damaged file raises anything: struct.error, KeyError, zlib.error
        # A place in the file that cannot be (EINVAL) is damage.
        if paths.is_refusal(error) and getattr(error, "errno", None) != errno.EINVAL:
            raise paths.unreadable(path.name, error) from error
        raise DataError(f"{path.name}: cannot be read ({error}); replace the file") from error


def upright(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width after an image is turned by its EXIF orientation."""
    return (width, height) if orientation >= 5 else (height, width)
