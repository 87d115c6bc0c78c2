"""Static files: found below `static/`, read once, kept by browsers for ever.

All have one version in their address, so that a script which imports another by a relative
address gets the one that belongs to it.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from fastapi import Response

FOLDER = Path(__file__).parent / "static"
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_SMALL = 2_000  # bytes, below which compression is not worth its while


def respond(name: str, *, gzipped: bool) -> Response | None:
    """A file by its path below `static/`; None where there is none."""
    if name not in _names():
        return None
    headers, content = dict(_HEADERS), _content(name)
    if gzipped and len(content) > _SMALL:
        headers["Content-Encoding"] = "gzip"
        content = _compressed(name)
    media = TYPES[PurePosixPath(name).suffix]
    return Response(content, media_type=media, headers=headers)


def address(name: str) -> str:
    """Path of a file, without the prefix below which all is served. Raises LookupError."""
    if name not in _names():
        raise LookupError(f"no static file is called '{name}'")
    return f"/static/{version()}/{name}"


@cache
def version() -> str:
    """Changes whenever a file does."""
    digest = hashlib.sha256()
    for name in sorted(_names()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(_content(name)).digest())
    return digest.hexdigest()[:12]


@cache
def _names() -> frozenset[str]:
    files = (path for path in FOLDER.rglob("*") if path.suffix in TYPES and path.is_file())
    return frozenset(path.relative_to(FOLDER).as_posix() for path in files)


@cache
def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_content(name), mtime=0)
