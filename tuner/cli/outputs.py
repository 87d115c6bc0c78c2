"""Files that a command will write at its end: looked at before its hours of work."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tuner.errors import StorageError


def check_writable(*files: Path) -> None:
    """Raise StorageError where one of the files could not be written; leaves nothing behind."""
    for path in files:
        with suppress(FileNotFoundError):
            if path.is_dir():
                raise StorageError(f"cannot write {path}: it is a folder; name a file in it")
        nearest = _nearest(path.absolute().parent)
        if reason := _refusal(nearest):
            raise StorageError(
                f"cannot write {path}: {nearest}: {reason}; name a file in a folder that you may "
                "write to"
            )


def check_folder(folder: Path) -> None:
    """Raise StorageError where a folder of files could not be written; leaves nothing behind."""
    nearest = _nearest(folder.absolute())
    if reason := _refusal(nearest):
        raise StorageError(
            f"cannot write to the folder {folder}: {nearest}: {reason}; choose another with --out"
        )


def _nearest(folder: Path) -> Path:
    """The folder, or the first of those above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _refusal(folder: Path) -> str | None:
    """Why no file can be written to a folder."""
    try:
        with TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)
