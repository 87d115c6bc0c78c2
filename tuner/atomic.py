"""Files that appear whole or not at all: written beside their place, synced, then renamed.

A draft's name is hidden, ends as the file's does, and is nobody else's, so that several processes
may write one file at once: the last one wins. What a killed process leaves is a draft that nothing
reads; `discard_drafts` deletes those, where no other process writes.
"""

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".part-"


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """An empty file to write to, which takes the place of `path` when the block ends well.

    Its bytes are on disk before it has the name. After an error `path` is as it was, and the draft
    is gone. `mode` are the permissions, less those that the process's umask takes away.

    Raises:
        OSError: the folder is missing, the disk full, …; it names `path`, never the draft.
    """
    draft = path.with_name(f"{_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield draft
        _sync(draft)
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (str(draft), draft):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def discard_drafts(folder: Path, name: str = "*") -> None:
    """Delete what killed processes left of files with that name in a folder."""
    for draft in folder.glob(f"{_PREFIX}*-{name}"):
        with suppress(OSError):
            draft.unlink()


def last_written(path: Path) -> float:
    """When a file was last written, as `time.time` counts; infinity if it has gone by now.

    What a folder lists is another process's to rename or delete before it is looked at.
    """
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _sync(path: Path) -> None:
    """Have a file's bytes on disk. Raises OSError where the disk does not take them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(handle)
