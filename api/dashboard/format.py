"""How the dashboard alone writes values: pure functions, used as template filters."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_SIZES = ("B", "kB", "MB", "GB", "TB")


def absolute(moment: datetime | None) -> str:
    """A moment in UTC to the second: 2026-11-20 14:03:59 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def size(count: int) -> str:
    """Bytes in decimal units: 812 B, 4.1 MB."""
    value, unit = float(count), _SIZES[0]
    for unit in _SIZES:
        if value < 1000 or unit == _SIZES[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def pretty(value: object) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted paths, in their order."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
