"""Image and mask files as arrays: what is read is right, or refused in plain words.

Read are PNG, JPEG, WebP, GIF, BMP, TIFF and `.npy` files, recognised by their content. Other TIFFs
than the plain ones, and colour of 16 bits, need the extra `segtune[tiff]`. Images are turned
upright by their EXIF orientation, masks too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError
from tuner.training.data.rasters import decode
from tuner.training.data.rasters.header import Header
from tuner.training.data.split import DType, ImageArray
from tuner.wording import quantity

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy"},
)
MAX_PIXELS = 100_000_000
_BYTES_PER_PIXEL = 16
_NAMED = 5
_WHITE_16 = 65535.0
# Colour spaces that have one conversion to RGB; the fourth byte of RGBX is nothing.
_CONVERTED = ("CMYK", "RGBX")
_LEAST, _MOST = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True)
class Labels:
    """A mask file as it is: one number per pixel, or colours as 65536·r + 256·g + b."""

    values: NDArray[np.int32]
    is_coloured: bool
    nodata: int | None = None


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image as height × width × 3 of uint8. Raises DataError.

    Grey is repeated, palettes are looked up, CMYK is converted, and an alpha channel is left out.
    """
    found = check_image(path)
    if found.colour == "palette" or found.space in _CONVERTED:
        return decode.as_rgb(path, found)
    bands = found.channels - found.has_alpha
    pixels = _bytes(decode.stored(path, found))[..., :bands]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def check_image(path: Path) -> Header:
    """The header of a file that `read_image` reads. Raises DataError for every other."""
    found = _one(path)
    if found.colour == "palette" or found.space in _CONVERTED:
        return found
    _refuse_space(path, found)
    if found.dtype not in (np.uint8, np.bool_):
        raise DataError(
            f"{path.name}: {found.form} hold more than 8 bits per channel; say `channels: stored` "
            "in the data set (and `value_range`), or convert the images to 8 bits"
        )
    if found.channels - found.has_alpha not in (1, 3):
        raise DataError(
            f"{path.name}: {found.form} are not an RGB image; say `channels: stored` in the data "
            "set to train on all of them, or write three bands"
        )
    return found


def read_bands(path: Path, value_range: Sequence[float] = ()) -> ImageArray:
    """An image as height × width × channels, with the channels and the depth of the file.

    A palette becomes RGB. What is deeper than 8 bits becomes float32: `value_range`, else
    0 … 65535 for whole numbers and 0 … 1 for real ones, is mapped to 0 … 255, and nothing is
    clipped. Raises DataError.
    """
    found = _one(path)
    if found.colour == "palette":
        return decode.as_rgb(path, found)
    _refuse_space(path, found)
    pixels = _bytes(decode.stored(path, found))
    if pixels.dtype == np.uint8:
        return pixels
    low, high = value_range or (0.0, 1.0 if pixels.dtype.kind == "f" else _WHITE_16)
    _refuse_holes(path, pixels, found.nodata, (low, high))
    return ((pixels.astype(np.float64) - low) * (255 / (high - low))).astype(np.float32)


def form(path: Path) -> tuple[int, DType]:
    """Channels and dtype of what `read_bands` gives, from the file's header. Raises DataError."""
    found = _one(path)
    if found.colour == "palette":
        return 3, "uint8"
    _refuse_space(path, found)
    return found.channels, "uint8" if found.dtype in (np.uint8, np.bool_) else "float32"


def read_mask(path: Path) -> NDArray[np.int32]:
    """A mask as height × width of whole numbers; palette indices are labels. Raises DataError."""
    return read_labels(path).values


def read_labels(path: Path) -> Labels:
    """A mask of one number per pixel, with the number that means "no data". Raises DataError."""
    found = read_values(path)
    if found.is_coloured:
        colours = np.unique(found.values)
        shown = ", ".join(str(colour_of(code)) for code in colours[:_NAMED].tolist())
        raise DataError(
            f"{path.name}: the mask is a colour image (RGB) of {quantity(len(colours), 'colour')} "
            f"({shown}{', …' if len(colours) > _NAMED else ''}); labels are one number per pixel, "
            "as in a grey or palette PNG; the folder format reads colours with "
            "`palette: [[r, g, b], …]`, one for each class"
        )
    return found


def read_values(path: Path) -> Labels:
    """A mask of numbers or of colours, whichever the file holds. Raises DataError.

    Three equal channels are numbers. A palette's index is the number, unless all of its colours
    are greys: then the grey is, as programs write grey GIFs.
    """
    header = _of_mask(path)
    pixels = _opaque(path, header, decode.stored(path, header))
    pixels = _greys(path, header, pixels)
    nodata = header.nodata
    if pixels.shape[2] == 1:
        values, nodata = _whole(path, pixels[..., 0], nodata)
        return Labels(values, is_coloured=False, nodata=None if nodata is None else int(nodata))
    if pixels.shape[2] != 3:
        raise DataError(
            f"{path.name}: {header.form} are not a mask; labels are one whole number per pixel, in "
            "one channel (one-hot channels: write the index of the channel that is set)"
        )
    if (pixels == pixels[..., :1]).all():
        values, nodata = _whole(path, pixels[..., 0], nodata)
        return Labels(values, is_coloured=False, nodata=None if nodata is None else int(nodata))
    if pixels.dtype != np.uint8:
        raise DataError(f"{path.name}: a mask of {header.form} is not read; colours have 8 bits")
    return Labels(_codes(pixels), is_coloured=True)


def read_colours(path: Path) -> NDArray[np.int32]:
    """A coloured mask as height × width of 65536·r + 256·g + b; palettes are looked up.

    Raises DataError.
    """
    header = _of_mask(path)
    if header.colour == "palette":
        return _codes(decode.as_rgb(path, header))
    pixels = _opaque(path, header, decode.stored(path, header))
    if header.dtype not in (np.uint8, np.bool_) or pixels.shape[2] not in (1, 3):
        raise DataError(f"{path.name}: {header.form} hold no colours of 8 bits")
    return _codes(_bytes(pixels))


def palette_of(path: Path) -> bytes | None:
    """The colours of a palette file, r, g, b in turn, or None for others. Raises DataError."""
    return decode.palette(path, _header(path))


def read_indices(path: Path) -> NDArray[Any]:
    """The indices of a palette file, whatever its colours. Raises DataError."""
    return decode.stored(path, _of_mask(path))[..., 0]


def is_grey(palette: bytes) -> bool:
    """Whether a palette holds greys only, which may be padded with black."""
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def orientation(path: Path) -> int:
    """How a file's EXIF tag turns it, 1 … 8; 1 is as it is stored. Raises DataError."""
    return _header(path).orientation


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from the file's header. Raises DataError."""
    found = _one(path)
    return found.height, found.width


def has_alpha(path: Path) -> bool:
    """Whether an image has an alpha channel, from its header. Raises DataError."""
    return _header(path).has_alpha


def colour_of(code: int) -> list[int]:
    """Red, green and blue of a colour's number."""
    return [code >> 16, code >> 8 & 255, code & 255]


def _header(path: Path) -> Header:
    """What a file says of itself, if it is not too large to be decoded."""
    found = decode.header(path)
    _check_size(path, found)
    return found


def _one(path: Path) -> Header:
    """The header of a file that holds one image."""
    found = _header(path)
    if found.frames > 1:
        raise DataError(
            f"{path.name}: holds {quantity(found.frames, 'image')} (frames or pages), and none "
            "is the right "
            "one; save each to a file of its own, or the bands of one image as channels"
        )
    return found


def _of_mask(path: Path) -> Header:
    """The header of a file that can hold labels."""
    found = _one(path)
    if found.lossy:
        raise DataError(
            f"{path.name}: is {_compressed(found)}, which changes values: labels at edges are "
            "invented; write masks without loss (PNG) from their source, not from this file"
        )
    if found.scaled or found.space:
        raise DataError(
            f"{path.name}: is a {found.kind} {found.scaled or f'in {found.space}'}, of which "
            "programs read different labels; save the mask as a grey or palette PNG of 8 bits"
        )
    return found


def _compressed(found: Header) -> str:
    kind = "" if found.kind in found.lossy or found.lossy == found.kind else f" in a {found.kind}"
    return f"compressed as {found.lossy}{kind}"


def _refuse_space(path: Path, found: Header) -> None:
    is_raw = found.scaled and found.reader != "pillow" and "bits" not in found.scaled
    if found.space or is_raw:
        is_read = found.space in _CONVERTED
        remedy = "say `channels: rgb`, or convert it" if is_read else "convert it to RGB or grey"
        where = f"in {found.space}" if found.space else found.scaled
        raise DataError(f"{path.name}: is a {found.kind} {where}; {remedy}")


def _refuse_holes(
    path: Path, pixels: NDArray[Any], nodata: float | None, limits: tuple[float, float]
) -> None:
    if not np.isfinite(pixels).all():
        raise DataError(f"{path.name}: some pixels are not finite (NaN); fill them before tuning")
    if nodata is None or limits[0] <= nodata <= limits[1]:
        return
    if holes := int((pixels == nodata).any(axis=2).sum()):
        raise DataError(
            f"{path.name}: {holes} pixels are {nodata:g}, which the file declares to be no data "
            f"and which is outside of the value range {limits[0]:g} to {limits[1]:g}; fill "
            "them, and mark them as ignored in the mask"
        )


def _bytes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bits as black and white; all others as they are."""
    return np.where(pixels, np.uint8(255), np.uint8(0)) if pixels.dtype == np.bool_ else pixels


def _codes(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    whole = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.int32)
    codes: NDArray[np.int32] = whole[..., 0] << 16 | whole[..., 1] << 8 | whole[..., 2]
    return codes


def _greys(path: Path, header: Header, pixels: NDArray[Any]) -> NDArray[Any]:
    """The greys of a palette of greys, each of which has one index; all else as it is."""
    palette = decode.palette(path, header)
    if not palette or not is_grey(palette):
        return pixels
    # Writers pad with black; a palette that is black throughout tells nothing of its indices.
    padded = np.frombuffer(palette, np.uint8)[::3]
    greys = np.trim_zeros(padded, "b")
    if len(greys) and greys.all() and len(greys) < len(padded):
        greys = padded[: len(greys) + 1]  # the first black is a colour
    if len(np.unique(greys)) < max(len(greys), 1):
        return pixels
    if pixels.max() >= len(greys):
        raise DataError(
            f"{path.name}: the mask's palette has no colour for index {pixels.max()}; save the "
            "mask as a grey PNG"
        )
    found: NDArray[np.uint8] = greys[pixels]
    return found


def _opaque(path: Path, header: Header, pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels without their alpha channel, which must hide nothing."""
    if not header.has_alpha:
        return pixels
    clear = int((pixels[..., -1] != np.iinfo(pixels.dtype).max).sum())
    if clear:
        raise DataError(
            f"{path.name}: the mask is transparent in {clear} pixels, under which programs leave "
            "any label; flatten it, or save it without alpha channel"
        )
    return pixels[..., :-1]


def _whole(
    path: Path, values: NDArray[Any], nodata: float | None
) -> tuple[NDArray[np.int32], float | None]:
    """Labels as whole numbers of 32 bits, and the label of pixels without data."""
    if nodata is not None and not _LEAST <= nodata <= _MOST:
        # NaN and the like do not fit into 32 bits; a label of their own stands for them.
        holes = np.isnan(values) if np.isnan(nodata) else values == values.dtype.type(nodata)
        values, nodata = np.where(holes, _LEAST, values), _LEAST
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise DataError(
            f"{path.name}: the mask holds real numbers such as "
            f"{_first_odd(values)}; labels are whole numbers"
        )
    if values.dtype.kind != "b" and ((values < _LEAST) | (values > _MOST)).any():
        raise DataError(
            f"{path.name}: the mask holds labels up to {values.max()}; labels are at most 65535"
        )
    return values.astype(np.int32), nodata


def _first_odd(values: NDArray[Any]) -> float:
    odd = ~np.isfinite(values) | (values != np.rint(values))
    return float(values[odd][0])


def _check_size(path: Path, found: Header) -> None:
    if found.height * found.width > MAX_PIXELS:
        raise DataError(
            f"{path.name}: {found.width}×{found.height} pixels are more than the {MAX_PIXELS:,} "
            "allowed; cut it into tiles"
        )
    if min(found.height, found.width, found.channels) < 1:
        raise DataError(f"{path.name}: {found.width}×{found.height} pixels are not an image")
    size = found.height * found.width * found.channels * found.dtype.itemsize
    if size > MAX_PIXELS * _BYTES_PER_PIXEL:
        raise DataError(
            f"{path.name}: {found.width}×{found.height} pixels with {found.form} take {size:,} "
            f"bytes, more than the {MAX_PIXELS * _BYTES_PER_PIXEL:,} allowed; cut it into tiles"
        )
