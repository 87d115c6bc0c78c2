"""Scenes that many tests begin with: each process plays one once, and copies it from then on."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import exists, select

from tuner.store.engine import Database
from tuner.store.tables import Base

P = ParamSpec("P")
T = TypeVar("T")
_FRESH_SECONDS = 30.0  # workers fall silent, leases end, and pages say how long ago a thing was


@dataclass(frozen=True)
class _Copy:
    """A whole database, files beside it, what was given by what made them, and when that began."""

    database: sqlite3.Connection
    files: Mapping[Path, bytes]
    found: Any
    begun: float


def staged(play: Callable[Concatenate[Database, P], T]) -> Callable[Concatenate[Database, P], T]:
    """Let `play`, which fills an empty SQLite database, be played once per process and arguments.

    What it gives is the same for every test, and so must not belong to one: no database, no scene.
    A database that is not empty is played upon, and so is every one once the copy is old. What a
    play hands in comes with the copy if it is called with `settings`.
    """
    copies: dict[str, _Copy] = {}

    def laid(db: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not _is_empty(db):
            return play(db, *args, **kwargs)
        named = {name: value for name, value in kwargs.items() if name != "settings"}
        key, now = repr((args, sorted(named.items()))), monotonic()
        settings: Any = kwargs.get("settings")
        folder = settings.artifact_folder if settings else None
        if key not in copies or now - copies[key].begun > _FRESH_SECONDS:
            found = play(db, *args, **kwargs)
            copies[key] = _Copy(_memory(db), _files(folder) if folder else {}, found, now)
        else:
            _lay(copies[key], db, folder)
        given: T = copies[key].found
        return given

    return wraps(play)(laid)


def _is_empty(db: Database) -> bool:
    filled = [exists(select(table)) for table in Base.metadata.sorted_tables]
    with db.reading() as session:
        return not any(session.execute(select(*filled)).one())


def _memory(db: Database) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(_opened(db)) as source:
        source.backup(copy)
    return copy


def _files(folder: Path) -> dict[Path, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in found}


def _lay(copy: _Copy, db: Database, folder: Path | None) -> None:
    with closing(_opened(db)) as target:
        copy.database.backup(target)
    if folder is None:
        return
    for path, content in copy.files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _opened(db: Database) -> sqlite3.Connection:
    return sqlite3.connect(str(db.engine.url.database), timeout=30)
