"""Pixels of image files, upright and as they are stored."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from tuner.errors import DataError, DataUnavailable
from tuner.training.data.rasters import magic, pillow, tiff
from tuner.training.data.rasters.header import Header, explained


def header(path: Path) -> Header:
    """What a file says of itself. Raises DataError."""
    kind = magic.kind_of(path)
    if kind == ".npy":
        return _of_array(path, mapped(path))
    return tiff.header(path) if kind == "TIFF" else pillow.header(path, kind)


def stored(path: Path, found: Header) -> NDArray[Any]:
    """The samples of the file, height × width × channels. Raises DataError.

    Nothing is scaled, converted or left out; a bit is 0 or 1, a palette's index is the value.
    """
    with explained(path):
        if found.reader == "numpy":
            return np.array(mapped(path))
        if found.reader == "tifffile":
            samples = turned(tiff.pixels(path, found), found.orientation).astype(found.dtype)
        elif found.reader == "imagecodecs":
            samples = turned(_deep_png(path, found), found.orientation)
        else:
            samples = _by_pillow(path, found)
    samples = samples if samples.ndim == 3 else samples[..., None]
    if samples.shape != (found.height, found.width, found.channels):
        raise DataError(
            f"{path.name}: cannot be read: its header says {found.height}×{found.width} and "
            f"{found.form}, its pixels are {samples.shape}; save the file again"
        )
    return samples


def as_rgb(path: Path, found: Header) -> NDArray[np.uint8]:
    """The image as Pillow converts it, height × width × 3; for palettes and colour spaces."""
    if found.reader != "pillow":
        raise DataError(
            f"{path.name}: colours of {found.form} in {found.space or found.colour} are not read; "
            "convert the file to RGB"
        )
    with explained(path), pillow.opened(path, found.kind) as image:
        converted = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(converted)


def palette(path: Path, found: Header) -> bytes | None:
    """The colours of a palette file, r, g, b in turn; None for others. Raises DataError."""
    if found.colour != "palette" or found.reader != "pillow":
        return None
    with explained(path), pillow.opened(path, found.kind) as image:
        return bytes(image.getpalette("RGB") or ())


def mapped(path: Path) -> NDArray[Any]:
    """An .npy file as height × width × channels, of which nothing is read yet."""
    with explained(path):
        values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if values.ndim not in (2, 3) or values.dtype.kind not in "biuf" or not values.size:
        raise DataError(
            f"{path.name}: an array of shape {values.shape} and type {values.dtype} is not an "
            "image; write height × width or height × width × channels of numbers"
        )
    return values if values.ndim == 3 else values[..., None]


def turned(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The samples upright, by EXIF orientation 1 … 8."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _by_pillow(path: Path, found: Header) -> NDArray[Any]:
    with pillow.opened(path, found.kind) as image:
        values = np.asarray(ImageOps.exif_transpose(image))
    # The same numbers may come in another type: 16 bits of a PNG as 32, or in another byte order.
    return values.astype(found.dtype, copy=False)


def _deep_png(path: Path, found: Header) -> NDArray[Any]:
    try:
        import imagecodecs
    except ImportError as error:
        raise DataUnavailable(
            f"{path.name}: a PNG of {found.form} is read with imagecodecs, which is not installed "
            "here; install segtune[tiff] on every worker"
        ) from error
    values: NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
    return values


def _of_array(path: Path, values: NDArray[Any]) -> Header:
    height, width, channels = values.shape
    return Header(
        kind=".npy",
        height=height,
        width=width,
        colour={1: "grey", 3: "rgb"}.get(channels, "bands"),  # type: ignore[arg-type]
        channels=channels,
        dtype=values.dtype,
        reader="numpy",
    )
