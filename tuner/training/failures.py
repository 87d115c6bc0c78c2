"""Sorts what can end a trial into the kinds that an outcome knows."""

import torch

from tuner.errors import DataError, Diverged

_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")


def classify(exception: BaseException) -> str:
    """One of `exception`, `diverged`, `data`, `out_of_memory`."""
    if isinstance(exception, Diverged):
        return "diverged"
    if isinstance(exception, DataError):
        return "data"
    if isinstance(exception, torch.OutOfMemoryError | MemoryError):
        return "out_of_memory"
    text = str(exception).lower()
    if isinstance(exception, RuntimeError) and any(words in text for words in _MEMORY):
        return "out_of_memory"
    return "exception"
