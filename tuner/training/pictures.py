"""Decodes image and mask files, and says in plain words why one cannot be used."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tuner.errors import DataError
from tuner.training.split import Picture

MAX_PIXELS = 100_000_000
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"})


def read_picture(path: Path) -> Picture:
    """An image as height × width × 3 of uint8, turned upright by its EXIF tag. Raises DataError."""
    pixels = _decode(path)
    if pixels.mode.startswith("I") or pixels.mode == "F":
        raise DataError(
            f"{path.name}: {pixels.mode} images hold more than 8 bits per channel; "
            "convert them to 8 bits"
        )
    return np.asarray(pixels.convert("RGB"))


def read_mask(path: Path) -> NDArray[np.int32]:
    """A mask as height × width of whole numbers; palette indices are labels. Raises DataError."""
    decoded = _decode(path)
    if decoded.mode == "F":
        raise DataError(f"{path.name}: the mask holds real numbers; labels are whole numbers")
    mask = np.asarray(decoded)
    if mask.ndim == 2:
        return mask.astype(np.int32)
    bands = mask[..., :1] if decoded.mode == "LA" else mask[..., :3]
    if (bands == bands[..., :1]).all():
        return bands[..., 0].astype(np.int32)
    raise DataError(
        f"{path.name}: the mask is a colour picture ({decoded.mode}); labels are one number per "
        "pixel, as in a grey or palette PNG"
    )


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{path.name}: {width}×{height} pixels are more than the {MAX_PIXELS:,} allowed"
                )
            return ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"{path.name}: cannot be read ({error})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path.name}: too many pixels ({error})") from error
