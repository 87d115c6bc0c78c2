"""Whole studies that come with segtune: what `segtune demo` runs, and the documents' sample.

`examples/` holds the same files for people; a test holds the two together.
"""

from pathlib import Path
from typing import Any

from tuner.spec.documents import parse_yaml

_FOLDER = Path(__file__).parent


def demo() -> dict[str, Any]:
    """The study of `segtune demo`, as a user would submit it."""
    return _read("demo")


def camvid() -> dict[str, Any]:
    """The sample study: street scenes of CamVid."""
    return _read("camvid")


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = parse_yaml((_FOLDER / f"{name}.yaml").read_bytes())
    return document
