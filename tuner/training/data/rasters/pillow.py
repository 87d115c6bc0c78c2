"""PNG, JPEG, WebP, GIF and BMP files: what Pillow says of them, and what it does not."""

from pathlib import Path

import numpy as np
from PIL import Image

from tuner.training.data.rasters.header import ColourKind, Header, explained, upright

_FORMATS = {
    "PNG": ("PNG",),
    "JPEG": ("JPEG", "MPO"),
    "WebP": ("WEBP",),
    "GIF": ("GIF",),
    "BMP": ("BMP",),
    "TIFF": ("TIFF",),
}
_ORIENTATION = 0x0112
_MODES: dict[str, tuple[ColourKind, int]] = {
    "1": ("grey", 1),
    "L": ("grey", 1),
    "LA": ("grey", 2),
    "P": ("palette", 1),
    "RGB": ("rgb", 3),
    "RGBA": ("rgb", 4),
    "I": ("grey", 1),
    "I;16": ("grey", 1),
    "I;16B": ("grey", 1),
}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


def opened(path: Path, kind: str) -> Image.Image:
    """The file, by the one reader that its content asks for."""
    return Image.open(path, formats=_FORMATS[kind])


def header(path: Path, kind: str) -> Header:
    """What the file says of itself. Raises DataError."""
    with explained(path), opened(path, kind) as image:
        bits, png_colour, has_notes = _png(path) if kind == "PNG" else (8, 0, True)
        orientation = int(image.getexif().get(_ORIENTATION, 1)) if has_notes else 1
        orientation = orientation if 1 <= orientation <= 8 else 1
        height, width = upright(image.height, image.width, orientation)
        colour, channels = _MODES.get(image.mode, ("other", len(image.getbands())))
        is_deep = bits == 16 and png_colour in (2, 4, 6)
        if is_deep:
            colour, channels = ("grey" if png_colour == 4 else "rgb"), _PNG_CHANNELS[png_colour]
        return Header(
            kind=kind,
            height=height,
            width=width,
            colour=colour,
            channels=channels,
            dtype=np.dtype(bool if image.mode == "1" else np.uint16 if bits == 16 else np.uint8),
            has_alpha=channels in (2, 4) and colour in ("grey", "rgb"),
            frames=_frames(image),
            orientation=orientation,
            lossy=_loss(path, kind),
            scaled=f"with {bits} bits per pixel" if bits in (2, 4) and png_colour == 0 else "",
            space=_space(image, colour),
            reader="imagecodecs" if is_deep else "pillow",
        )


def _space(image: Image.Image, colour: ColourKind) -> str:
    """The colour space, if it is another than grey or RGB."""
    if colour == "other":
        return image.mode
    # A BMP of 32 bits has a fourth byte, of which nothing tells whether it is alpha.
    tiles = getattr(image, "tile", ()) if image.format == "BMP" else ()
    return "RGBX" if any(sign in str(tile) for tile in tiles for sign in ("BGRX", "XBGR")) else ""


def _frames(image: Image.Image) -> int:
    """Images in the file; a smaller one in a JPEG file (preview, gain map, depth) is none."""
    if not getattr(image, "is_animated", False):
        return 1
    count = int(getattr(image, "n_frames", 1))
    if image.format != "MPO":
        return count
    size = image.size
    same = 0
    for place in range(count):
        image.seek(place)
        same += image.size[0] >= size[0] and image.size[1] >= size[1]
    image.seek(0)
    return same


def _loss(path: Path, kind: str) -> str:
    if kind == "JPEG":
        return "JPEG"
    return "lossy WebP" if kind == "WebP" and _is_lossy(path) else ""


def _is_lossy(path: Path) -> bool:
    """Whether a WebP file holds a lossy bitstream, `VP8 ` (RFC 9649)."""
    with path.open("rb") as file:
        file.seek(12)
        while len(start := file.read(8)) == 8:
            name, length = start[:4], int.from_bytes(start[4:], "little")
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            # A frame's chunks follow its 16 bytes of place and length.
            file.seek(16 if name == b"ANMF" else length + length % 2, 1)
    return True


def _png(path: Path) -> tuple[int, int, bool]:
    """Bits, colour type, and whether there may be an EXIF orientation."""
    with path.open("rb") as file:
        start = file.read(33)
        has_notes = False
        while len(chunk := file.read(8)) == 8 and chunk[4:] != b"IEND":
            length, name = int.from_bytes(chunk[:4], "big"), chunk[4:]
            read = file.read(min(length, 24)) if name in _TEXT_CHUNKS else b""
            is_note = read.startswith((b"Raw profile type", b"XML:com.adobe.xmp"))
            has_notes = has_notes or name == b"eXIf" or is_note
            file.seek(length - len(read) + 4, 1)
    return start[24], start[25], has_notes
