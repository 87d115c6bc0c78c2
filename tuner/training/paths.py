"""Files that a study names must lie under a root that the worker's operator allowed."""

import errno
from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from tuner.errors import DataError, DataUnavailable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # what a disk says that takes no more


def allowed(name: str, roots: Sequence[Path], *, what: str) -> Path:
    """The existing file or folder of that name, with links and `..` resolved.

    A relative name is looked up under each root in turn, in any Unicode form.

    Raises:
        DataUnavailable: nothing of that name exists under an allowed root.
    """
    for root in roots:
        base = root.resolve()
        for form in (name, normalize("NFC", name), normalize("NFD", name)):
            path = (base / form).resolve()
            if path.is_relative_to(base) and path.exists():
                return path
    permitted = ", ".join(str(root) for root in roots) or "none"
    raise DataUnavailable(
        f"{what} '{name}' does not exist under this worker's allowed roots ({permitted}); "
        "put the data there, or allow its folder when starting the worker"
    )


def is_allowed(path: Path, roots: Sequence[Path]) -> bool:
    """Whether the file, with links resolved, lies under an allowed root."""
    real = path.resolve()
    return any(real.is_relative_to(root.resolve()) for root in roots)


def unreadable(name: str, error: Exception) -> DataError:
    """The error for a file that could not be read: by this machine, or by anyone.

    The system gives a number with what it refuses; a decoder that dislikes the content has none.
    """
    if is_refusal(error):
        return DataUnavailable(
            f"{name}: cannot be read on this machine ({error}); check that the file is there, "
            "its permissions, and the disk"
        )
    return DataError(f"{name}: cannot be read ({error})")


def is_refusal(error: BaseException) -> bool:
    """Whether the system refused, rather than a decoder: no file, permission, space, device, …"""
    return isinstance(error, OSError) and error.errno is not None
