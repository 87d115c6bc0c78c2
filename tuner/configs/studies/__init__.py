"""Whole studies that come with segtune: what `segtune demo` runs, and the documents' sample.

`examples/` holds the same files for people; a test holds the two together.
"""

from pathlib import Path
from typing import Any

from tuner.spec.documents import parse_yaml

_FOLDER = Path(__file__).parent
NAMES = ("camvid", "demo")


def demo() -> dict[str, Any]:
    """The study of `segtune demo`, as a user would submit it."""
    return document("demo")


def camvid() -> dict[str, Any]:
    """The sample study: street scenes of CamVid."""
    return document("camvid")


def document(name: str) -> dict[str, Any]:
    """The study of that name."""
    found: dict[str, Any] = parse_yaml(text(name).encode())
    return found


def text(name: str) -> str:
    """Its file, with the comments."""
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
