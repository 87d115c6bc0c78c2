"""Sorts what can end a trial into the kinds that an outcome knows."""

from collections.abc import Iterator

import torch

from tuner.errors import (
    CheckpointMismatch,
    DataError,
    DataUnavailable,
    Diverged,
    OutOfMemory,
    PackageMissing,
    SegtuneError,
    TrainingError,
    WeightsUnavailable,
)
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Unfitness
from tuner.training.paths import is_refusal

_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")
# What CUDA, cuDNN and NVML say of a device that is gone, taken or broken. Errors of a kernel that
# was called wrongly (a device-side assert, an illegal address) are the trial's own.
_DEVICE = (
    "no cuda-capable device",
    "no nvidia driver",
    "found no nvidia",
    "cuda driver initialization failed",
    "cuda unknown error",
    "cuda-capable device(s) is/are busy or unavailable",
    "device is busy or unavailable",
    "system not yet initialized",
    "driver shutting down",
    "initialization error",
    "invalid device ordinal",
    "gpu is lost",
    "fallen off the bus",
    "uncorrectable ecc error",
    "unspecified launch failure",
    "device not ready",
    "driver/library version mismatch",
    "cudnn_status_not_initialized",
    "cublas_status_not_initialized",
    "nvml",
)
_LACKING = {
    DataUnavailable: Unfitness.DATA,
    WeightsUnavailable: Unfitness.WEIGHTS,
    PackageMissing: Unfitness.PACKAGE,
}
# torch.save says no more of a disk that takes no more.
_WRITING = ("pytorchstreamwriter failed", "file write failed")


def classify(exception: BaseException) -> ErrorKind | Unfitness:
    """What an attempt says that ended with this exception."""
    if isinstance(exception, Diverged):
        return ErrorKind.DIVERGED
    if unfit := unfitness(exception):
        return unfit
    if isinstance(exception, DataError):
        return ErrorKind.DATA
    if is_out_of_memory(exception):
        return ErrorKind.OUT_OF_MEMORY
    if isinstance(exception, TrainingError) and not isinstance(exception, CheckpointMismatch):
        return ErrorKind.CONFIG
    return ErrorKind.EXCEPTION


def unfitness(exception: BaseException) -> Unfitness | None:
    """What of the machine's surroundings failed; None where the trial itself did."""
    for kind, lacking in _LACKING.items():
        if isinstance(exception, kind):
            return lacking
    if isinstance(exception, SegtuneError):
        return None  # it says by its type whose fault it is
    if any(is_refusal(error) for error in _chain(exception)):
        return Unfitness.MACHINE
    text = str(exception).lower() if isinstance(exception, RuntimeError) else ""
    if any(words in text for words in _WRITING):
        return Unfitness.MACHINE
    return Unfitness.DEVICE if any(words in text for words in _DEVICE) else None


def _chain(exception: BaseException | None) -> Iterator[BaseException]:
    """The exception, and those that it was raised from."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        yield exception
        exception = exception.__cause__


def is_out_of_memory(exception: BaseException) -> bool:
    """Whether a device, the machine or our own limit had no more memory to give."""
    if isinstance(exception, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    text = str(exception).lower()
    return isinstance(exception, RuntimeError) and any(words in text for words in _MEMORY)
