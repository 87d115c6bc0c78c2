"""What was found by trying on this machine, kept by key in a JSON file of the cache folder.

Losing such a file costs finding its values again, so that a damaged one counts as empty.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from tuner.atomic import replacing


def recall(folder: Path | None, name: str, key: str) -> Any:
    """What was kept under the key; None where there is nothing, or no folder."""
    return None if folder is None else _read(folder / name).get(key)


def keep(folder: Path | None, name: str, key: str, value: Any) -> None:
    """Keep a JSON value beside those of other processes. Raises OSError."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with FileLock(f"{path}.lock"):
        noted = _read(path) | {key: value}
        with replacing(path) as draft:
            draft.write_text(json.dumps(noted, indent=1, sort_keys=True), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        noted = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(noted, dict):
            return noted
    return {}
