"""Writes tensors so that a full disk is reported as one."""

from pathlib import Path
from typing import Any

import torch


def write(body: dict[str, Any], path: Path) -> None:
    """Write what `torch.load` reads.

    Raises:
        OSError: the disk is full, or the path cannot be written.
    """
    try:
        with path.open("wb") as file:
            torch.save(body, file)
    except (OSError, RuntimeError) as error:
        # Of a write that failed torch says "unexpected pos" only; the file said why before.
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise OSError(refusal.errno, refusal.strerror, str(path)) from error


def _refusal(error: BaseException | None) -> OSError | None:
    """What the system said: this error, or one in whose handling it was raised."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error
