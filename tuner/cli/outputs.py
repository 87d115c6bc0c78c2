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
        folder = next(each for each in path.absolute().parents if each.exists())
        try:
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {folder}: {error.strerror}; name a file in a folder that "
                "you may write to"
            ) from error
