"""File types by their first bytes: a name says nothing, the content does."""

from pathlib import Path

from tuner.errors import DataError
from tuner.training.data.rasters.header import explained

READ = ("PNG", "JPEG", "TIFF", "WebP", "GIF", "BMP", ".npy")
_START = 4096
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\x93NUMPY", ".npy"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\1\0", "ICO"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x89HDF", "HDF5"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"P1", "PBM"),
    (b"P2", "PGM"),
    (b"P3", "PPM"),
    (b"P4", "PBM"),
    (b"P5", "PGM"),
    (b"P6", "PPM"),
)
_TEXTS = (b"<!doctype", b"<html", b"<?xml", b"<svg", b"{", b"<error")


def kind_of(path: Path) -> str:
    """One of READ. Raises DataError for an empty file and for every other type."""
    with explained(path), path.open("rb") as file:
        start = file.read(_START)
    if not start:
        raise DataError(f"{path.name}: the file is empty (0 bytes); copy or download it again")
    found = _named(start)
    if found in READ:
        return found
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{path.name}: is a Git LFS pointer; fetch the files with `git lfs pull`")
    raise DataError(
        f"{path.name}: is {_article(found)}, which is not read; read are {', '.join(READ)}. "
        "Convert images to PNG or TIFF; take labels from a lossless source, because JPEG, AVIF "
        "and the like change them"
    )


def _named(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[4:8] == b"ftyp":
        return "AVIF" if start[8:11] == b"avi" else "HEIF"
    if start[128:132] == b"DICM":
        return "DICOM"
    if start.lstrip().lower().startswith(_TEXTS):
        return "text"
    return next((kind for sign, kind in _KINDS if start.startswith(sign)), "unknown")


def _article(kind: str) -> str:
    if kind == "unknown":
        return "no image file of a known type"
    if kind == "text":
        return "a text file (a page that a failed download left?)"
    return f"{'an' if kind[0] in 'AEIHO' else 'a'} {kind} file"
