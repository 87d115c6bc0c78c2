"""Sorts what can end a trial into the kinds that an outcome knows."""

import torch

from tuner.errors import DataError, Diverged, OutOfMemory

_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")


def classify(exception: BaseException) -> str:
    """One of `exception`, `diverged`, `data`, `out_of_memory`."""
    if isinstance(exception, Diverged):
        return "diverged"
    if isinstance(exception, DataError):
        return "data"
    if is_out_of_memory(exception):
        return "out_of_memory"
    return "exception"


def is_out_of_memory(exception: BaseException) -> bool:
    """Whether a device, the machine or our own limit had no more memory to give."""
    if isinstance(exception, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    text = str(exception).lower()
    return isinstance(exception, RuntimeError) and any(words in text for words in _MEMORY)
