"""Decodes image and mask files, and says in plain words why one cannot be used.

Besides what Pillow reads there is `.npy`, as height × width or height × width × channels, for
images of any number of channels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tuner.errors import DataError
from tuner.training.split import Depth, Picture

MAX_PIXELS = 100_000_000
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy"},
)
_NAMED = 5
_WHITE_16 = 65535.0
# Channels of the modes that are read as they are stored; all others are colours, read as RGB.
_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I": 1, "F": 1}


def read_picture(path: Path) -> NDArray[np.uint8]:
    """An image as height × width × 3 of uint8, turned upright by its EXIF tag. Raises DataError."""
    if path.suffix.lower() == ".npy":
        stored = _array(path)
        if stored.dtype != np.uint8 or stored.shape[2] not in (1, 3):
            raise DataError(
                f"{path.name}: {stored.shape[2]} channels of {stored.dtype} are no RGB picture of "
                "8 bits; say `channels: stored` in the data set"
            )
        return np.ascontiguousarray(np.broadcast_to(stored, (*stored.shape[:2], 3)))
    pixels = _decode(path)
    if pixels.mode.startswith("I") or pixels.mode == "F":
        raise DataError(
            f"{path.name}: {pixels.mode} images hold more than 8 bits per channel; "
            "say `channels: stored` in the data set, or convert them to 8 bits"
        )
    return np.asarray(pixels.convert("RGB"))


def read_bands(path: Path, value_range: Sequence[float] = ()) -> Picture:
    """An image as height × width × channels, with the channels and the depth of the file.

    What is deeper than 8 bits becomes float32: `value_range`, else 0 … 65535 for whole numbers and
    0 … 1 for real ones, is mapped to 0 … 255, and nothing is clipped. Raises DataError.
    """
    pixels = _array(path)
    if pixels.dtype == np.uint8:
        return pixels
    low, high = value_range or (0.0, 1.0 if pixels.dtype.kind == "f" else _WHITE_16)
    if not np.isfinite(pixels).all():
        raise DataError(f"{path.name}: some pixels are not finite; fill them before tuning")
    return ((pixels.astype(np.float64) - low) * (255 / (high - low))).astype(np.float32)


def form(path: Path) -> tuple[int, Depth]:
    """Channels and depth of what `read_bands` gives, from the file's header. Raises DataError."""
    if path.suffix.lower() == ".npy":
        stored = _mapped(path)
        return stored.shape[2], "uint8" if stored.dtype == np.uint8 else "float32"
    mode = _mode(path)
    return _BANDS[mode], "float32" if mode in "IF" else "uint8"


def read_mask(path: Path) -> NDArray[np.int32]:
    """A mask as height × width of whole numbers; palette indices are labels. Raises DataError."""
    if path.suffix.lower() == ".npy":
        return _only_band(_mapped(path), path)
    decoded = _decode(path)
    if decoded.mode == "F":
        raise DataError(f"{path.name}: the mask holds real numbers; labels are whole numbers")
    mask = np.asarray(decoded)
    if mask.ndim == 2:
        return mask.astype(np.int32)
    bands = mask[..., :1] if decoded.mode == "LA" else mask[..., :3]
    if (bands == bands[..., :1]).all():
        return bands[..., 0].astype(np.int32)
    colours = np.unique(np.asarray(decoded.convert("RGB")).reshape(-1, 3), axis=0)
    shown = ", ".join(str(colour) for colour in colours[:_NAMED].tolist())
    raise DataError(
        f"{path.name}: the mask is a colour picture ({decoded.mode}) of {len(colours)} colours "
        f"({shown}{', …' if len(colours) > _NAMED else ''}); labels are one number per pixel, as "
        "in a grey or palette PNG; the folder format reads colours with "
        "`palette: [[r, g, b], …]`, one for each class"
    )


def read_colours(path: Path) -> NDArray[np.int32]:
    """A coloured mask as height × width of 65536·r + 256·g + b. Raises DataError."""
    red, green, blue = np.moveaxis(read_picture(path).astype(np.int32), 2, 0)
    codes: NDArray[np.int32] = red << 16 | green << 8 | blue
    return codes


def _only_band(stored: NDArray[Any], path: Path) -> NDArray[np.int32]:
    if stored.dtype.kind not in "iu" or stored.shape[2] != 1:
        raise DataError(
            f"{path.name}: {stored.shape[2]} channels of {stored.dtype} are no mask; labels are "
            "one whole number per pixel"
        )
    return stored[..., 0].astype(np.int32)


def _array(path: Path) -> NDArray[Any]:
    """The pixels as they are stored, height × width × channels."""
    if path.suffix.lower() == ".npy":
        return np.array(_mapped(path))
    mode, decoded = _mode(path), _decode(path)
    as_stored = mode in (decoded.mode, "I")
    pixels = np.asarray(decoded if as_stored else decoded.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _mapped(path: Path) -> NDArray[Any]:
    """An .npy file as height × width × channels, of which nothing is read yet."""
    with _explained(path):
        stored: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if stored.ndim not in (2, 3) or stored.dtype.kind not in "iuf" or not stored.size:
        raise DataError(
            f"{path.name}: an array of shape {stored.shape} and type {stored.dtype} is no image; "
            "write height × width or height × width × channels of numbers"
        )
    _check_size(path, stored.shape[1], stored.shape[0])
    return stored if stored.ndim == 3 else stored[..., None]


def _plain(mode: str) -> str:
    """The mode to read a file's bands in."""
    if mode.startswith("I"):
        return "I"
    if mode == "1":
        return "L"
    return mode if mode in _BANDS else "RGB"


def _mode(path: Path) -> str:
    """The mode to read a file's bands in, from its header."""
    with _explained(path), Image.open(path) as opened:
        mode = _plain(opened.mode)
        stored = " ".join(str(tile[3]) for tile in opened.tile)
        if mode in ("RGB", "RGBA") and ";16" in stored:
            raise DataError(
                f"{path.name}: 16 bits per channel in colour would be read as 8; write .npy, or "
                "one grey file of 16 bits per channel"
            )
        return mode


def _decode(path: Path) -> Image.Image:
    with _explained(path), Image.open(path) as opened:
        _check_size(path, *opened.size)
        return ImageOps.exif_transpose(opened)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise what Pillow and NumPy say of a file as DataError."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError) as error:
        raise DataError(f"{path.name}: cannot be read ({error})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path.name}: too many pixels ({error})") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path.name}: {width}×{height} pixels are more than the {MAX_PIXELS:,} allowed"
        )
