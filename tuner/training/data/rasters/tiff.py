"""TIFF files: what their tags say, page by page, and their pixels through tifffile.

Pages marked as reduced copies or validity masks (NewSubfileType, as GDAL writes overviews) are not
images of their own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tuner.errors import DataError, DataUnavailable
from tuner.training.data.rasters.header import ColourKind, Header, Reader, explained, upright

Tags = Mapping[int, Any]
_LOSSLESS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
_JPEG = (6, 7)
_BY_PILLOW = (*_LOSSLESS, *_JPEG)
_LOSSY = {
    6: "JPEG",
    7: "JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_GREY_INVERTED, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_ALPHA = (1, 2)
_KIND = {1: "u", 2: "i", 3: "f", 4: "u"}
_SEPARATE = 2  # planar configuration: a plane for each band
_MOST_PAGES = 10_000
_MOST_OF_TILE = 1 << 24  # pixels
# Photometric, bits, sample formats and extra samples that Pillow gives as they are stored.
_PILLOW = {
    (_GREY, (1,), 1, ()),
    (_GREY, (8,), 1, ()),
    (_GREY, (16,), 1, ()),
    (_GREY, (32,), 2, ()),
    (_GREY, (32,), 3, ()),
    (_GREY, (8, 8), 1, (2,)),
    (_RGB, (8, 8, 8), 1, ()),
    (_RGB, (8, 8, 8, 8), 1, (2,)),
    (_PALETTE, (1,), 1, ()),
    (_PALETTE, (2,), 1, ()),
    (_PALETTE, (4,), 1, ()),
    (_PALETTE, (8,), 1, ()),
    (_CMYK, (8, 8, 8, 8), 1, ()),
    (_YCBCR, (8, 8, 8), 1, ()),
    (_GREY_INVERTED, (1,), 1, ()),
    (_GREY_INVERTED, (8,), 1, ()),
    (_GREY_INVERTED, (2,), 1, ()),
    (_GREY_INVERTED, (4,), 1, ()),
    (_GREY, (2,), 1, ()),
    (_GREY, (4,), 1, ()),
}


def header(path: Path) -> Header:
    """The file's one image. Raises DataError."""
    with explained(path):
        pages = _pages(path)
        whole = [place for place, tags in enumerate(pages) if not _is_reduced(tags)]
        if not whole:
            raise DataError(f"{path.name}: holds reduced copies only, no image of full size")
        tags = pages[whole[0]]
        _check_whole(path, tags)
        return _described(path, tags, page=whole[0], frames=max(len(whole), _declared(tags)))


def pixels(path: Path, found: Header) -> NDArray[Any]:
    """The samples as they are stored, height × width × channels, not turned. Raises DataError."""
    try:
        import tifffile
    except ImportError as error:
        raise DataUnavailable(
            f"{path.name}: a TIFF of {found.form} is read with tifffile, which is not installed "
            "here; install segtune[tiff] on every worker"
        ) from error
    with explained(path), tifffile.TiffFile(path) as opened:
        page = opened.pages[found.page]
        separate, _, height, width, together = page.shaped
        samples = page.asarray(maxworkers=1).reshape(separate, height, width, together)
    return np.moveaxis(samples, 0, 2).reshape(height, width, separate * together)


def _pages(path: Path) -> list[Tags]:
    """The tags of every page of the main chain."""
    found: list[Tags] = []
    seen: set[int] = set()
    with path.open("rb") as file:
        start = file.read(8)
        if start[:4] == b"MM\0+":
            raise DataError(
                f"{path.name}: is a big-endian BigTIFF, which is not read; save it again"
            )
        start += file.read(8) if start[2] == 43 else b""  # BigTIFF
        following = ImageFileDirectory_v2(start).next
        while following and following not in seen and len(found) < _MOST_PAGES:
            seen.add(following)
            tags = ImageFileDirectory_v2(start)
            file.seek(following)
            tags.load(file)
            found.append(tags)
            following = tags.next
    return found


def _is_reduced(tags: Tags) -> bool:
    """Whether a page is a reduced copy or a validity mask of another."""
    return bool(int(tags.get(254, 0)) & 0b101) or tags.get(255) == 2


def _declared(tags: Tags) -> int:
    """Images that ImageJ or tifffile say lie behind the first one without a page of their own."""
    text = str(tags.get(270, ""))
    if match := re.search(r"^ImageJ=.*^images=(\d+)", text, re.MULTILINE | re.DOTALL):
        return int(match[1])
    if text.startswith("{") and '"truncated": true' in text:
        shape = json.loads(text).get("shape", ())
        return int(np.prod(shape)) // max(1, int(tags[256]) * int(tags[257]) * _samples(tags))
    return int(tags.get(32997, 1))


def _samples(tags: Tags) -> int:
    return int(tags.get(277, 1))


def _check_whole(path: Path, tags: Tags) -> None:
    """Raise DataError where the file ends before its pixels do, or lists too few pieces of them."""
    size = path.stat().st_size
    starts, lengths = _pieces(tags)
    ends = [start + length for start, length in zip(starts, lengths, strict=False) if length]
    if ends and max(ends) > size:
        raise DataError(
            f"{path.name}: cannot be read: the file is cut off, {max(ends) - size} bytes are "
            "missing; copy it again"
        )
    if min(len(starts), len(lengths)) < _expected(tags):
        raise DataError(
            f"{path.name}: cannot be read: it lists {min(len(starts), len(lengths))} of "
            f"{_expected(tags)} strips or tiles; save the file again"
        )


def _pieces(tags: Tags) -> tuple[Sequence[int], Sequence[int]]:
    """Where the strips or tiles lie in the file, and their lengths; 0 is one that was left out."""
    offsets, counts = (324, 325) if 324 in tags else (273, 279)
    return _numbers(tags.get(offsets)), _numbers(tags.get(counts))


def _expected(tags: Tags) -> int:
    """How many strips or tiles the image is made of."""
    width, height = int(tags[256]), int(tags[257])
    planes = _samples(tags) if int(tags.get(284, 1)) == _SEPARATE else 1
    if 324 in tags:
        wide, high = int(tags[322]), int(tags[323])
        if wide * high > max(_MOST_OF_TILE, 4 * width * height):
            raise ValueError(f"a tile of {wide}×{high} pixels in an image of {width}×{height}")
        return planes * -(-width // wide) * -(-height // high)
    rows = min(height, int(tags.get(278, height)))
    return planes * -(-height // rows)


def _numbers(value: Any) -> Sequence[int]:
    return value if isinstance(value, tuple) else () if value is None else (int(value),)


def _described(path: Path, tags: Tags, *, page: int, frames: int) -> Header:
    photometric, compression = int(tags.get(262, _GREY)), int(tags.get(259, 1))
    samples = _samples(tags)
    bits = (*_numbers(tags.get(258, 1)),)
    bits = bits * samples if len(bits) == 1 else bits
    formats = {int(each) for each in _numbers(tags.get(339, 1))}
    extra = (*_numbers(tags.get(338)),)
    orientation = int(tags.get(274, 1))
    orientation = orientation if 1 <= orientation <= 8 else 1
    height, width = upright(int(tags[257]), int(tags[256]), orientation)
    by_pillow = page == 0 and len(formats) == 1 and compression in _BY_PILLOW
    is_planar = samples > 1 and int(tags.get(284, 1)) == _SEPARATE
    by_pillow = by_pillow and 0 not in _pieces(tags)[1] and not (is_planar and extra)
    by_pillow = by_pillow and (photometric, bits, *formats, extra) in _PILLOW
    reader: Reader = "pillow" if by_pillow else "tifffile"
    is_colour = photometric in (_RGB, _YCBCR)
    colours: dict[int, ColourKind] = {_PALETTE: "palette", _GREY: "grey", _GREY_INVERTED: "grey"}
    colour = "rgb" if is_colour else colours.get(photometric, "other")
    if colour in ("grey", "rgb", "palette") and samples - len(extra) != (3 if is_colour else 1):
        colour = "bands"
    if len(extra) > 1 or (extra and extra[0] not in _ALPHA):
        colour = "bands"
    is_bits = set(bits) == {1} and colour == "grey"
    return Header(
        kind="TIFF",
        height=height,
        width=width,
        colour=colour,
        channels=samples,
        dtype=np.dtype(bool) if is_bits else _dtype(path, bits, formats),
        has_alpha=bool(extra) and extra[0] in _ALPHA and colour != "bands",
        frames=frames,
        orientation=orientation,
        lossy=_loss(compression, photometric),
        scaled=_scaled(bits, photometric),
        space=_space(photometric, compression),
        nodata=_nodata(tags),
        reader=reader,
        page=page,
    )


def _dtype(path: Path, bits: tuple[int, ...], formats: set[int]) -> np.dtype[Any]:
    depth = max(bits)
    kinds = {_KIND.get(each, "") for each in formats}
    if len(set(bits)) > 1 or len(kinds) > 1 or "" in kinds:
        raise DataError(
            f"{path.name}: TIFF samples of {', '.join(map(str, bits))} bits and format "
            f"{', '.join(map(str, sorted(formats)))} are not read; all bands must be whole or "
            "real numbers of one depth"
        )
    whole = next((size for size in (8, 16, 32, 64) if depth <= size), 64)
    if kinds == {"f"} and depth not in (16, 32, 64):
        raise DataError(f"{path.name}: real numbers of {depth} bits are not read; write 32")
    return np.dtype(f"{kinds.pop()}{whole // 8}")


def _loss(compression: int, photometric: int) -> str:
    if compression not in _LOSSLESS:
        return _LOSSY.get(compression, f"TIFF compression {compression}")
    return "YCbCr" if photometric == _YCBCR else ""


def _scaled(bits: tuple[int, ...], photometric: int) -> str:
    if photometric == _GREY_INVERTED:
        return "with white as 0 (MinIsWhite)"
    odd = max(bits) not in (1, 8, 16, 32, 64)
    return f"with {max(bits)} bits per pixel" if odd and photometric != _PALETTE else ""


def _space(photometric: int, compression: int) -> str:
    """A colour space that is neither grey nor RGB; JPEG data become RGB when they are decoded."""
    if photometric == _YCBCR:
        return "" if compression in _JPEG else "YCbCr"
    if photometric in (_GREY_INVERTED, _GREY, _RGB, _PALETTE):
        return ""
    return "CMYK" if photometric == _CMYK else f"TIFF colour space {photometric}"


def _nodata(tags: Tags) -> float | None:
    """GDAL's value for "no data here"."""
    try:
        return float(str(tags[42113]).strip(" \0"))
    except (KeyError, ValueError):
        return None
