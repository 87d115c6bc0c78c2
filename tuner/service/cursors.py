"""Cursors of paged lists: opaque to callers, and checked when they come back."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from tuner.errors import InvalidInput, Problem

Check = Callable[[Any], bool]


def write(*parts: Any) -> str:
    """A cursor that holds these JSON values."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read(cursor: str, checks: Sequence[Check]) -> list[Any]:
    """The values of a cursor, each of which passes its check. Raises InvalidInput."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        parts = None
    fits = isinstance(parts, list) and len(parts) == len(checks)
    if not fits or not all(check(part) for check, part in zip(checks, parts, strict=True)):
        message = f"'{cursor[:40]}' is not a cursor of this list; pass `next` of the page before"
        raise InvalidInput([Problem(("cursor",), message)])
    found: list[Any] = parts
    return found


def is_whole(part: object) -> bool:
    """Whether it is a number of a row."""
    return isinstance(part, int) and not isinstance(part, bool) and abs(part) < 2**31


def is_number(part: object) -> bool:
    """Whether it is a finite number, or nothing."""
    if part is None or isinstance(part, bool):
        return part is None
    return isinstance(part, int | float) and abs(part) < 2**63 and isfinite(part)


def is_text(part: object) -> bool:
    """Whether it is a text that a database can hold, or nothing."""
    return part is None or (isinstance(part, str) and part.isprintable())


def is_moment(part: object) -> bool:
    """Whether it is a time with its zone, or nothing."""
    if part is None:
        return True
    try:
        return datetime.fromisoformat(str(part)).tzinfo is not None
    except ValueError:
        return False
