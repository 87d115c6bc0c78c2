"""What fits into memory: found by trying, halved when it does not fit, remembered.

The sampled batch is trained whatever happens; what shrinks is the micro-batch, the part of it that
passes through the network at once. A network whose normalisation looks at the batch sees the
micro-batch, so that the micro-batch belongs to a trial's provenance.
"""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TypeVar

import torch
from torch import Tensor, nn

from tuner import notes
from tuner.errors import Diverged, OutOfMemory, TrainingError
from tuner.spec.config import TrialConfig
from tuner.training.determinism import DeviceContext
from tuner.training.failures import is_out_of_memory
from tuner.wording import quantity

logger = logging.getLogger(__name__)
_FILE = "micro-batch.json"
_MIB = 2**20
# Of a GPU, for CUDA's context and its kernels, where the driver does not say a process's share.
_CUDA_MIB = 1024.0
_T = TypeVar("_T")


def halving(
    work: Callable[[int], _T], size: int, *, least: int, context: DeviceContext, advice: str
) -> tuple[_T, int]:
    """What `work(size)` gives, and the size that fit, halved down to `least` while memory lacks.

    Raises:
        OutOfMemory: `least` does not fit, or what fits cannot be trained.
    """
    first = size
    while True:
        try:
            return work(size), size
        except TrainingError as error:
            if size == first or isinstance(error, Diverged):
                raise
            raise OutOfMemory(
                f"{context.device} holds fewer than {quantity(first, 'image')} at once "
                f"({_peak(context)}), and "
                f"with {size} the network cannot be trained: {error}"
            ) from error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size <= least:
                raise OutOfMemory(
                    f"{context.device} is out of memory at {size} of {quantity(first, 'image')} "
                    f"({_peak(context)}); {advice}"
                ) from error
        # Past the handler the frames that held the tensors are gone.
        release(context)
        size = max((size + 1) // 2, least)
        logger.warning("out of memory; going on with %d images at once", size)


@contextmanager
def building(context: DeviceContext) -> Iterator[None]:
    """Name what did not fit while a network is built, of which nothing can be made smaller.

    Raises:
        OutOfMemory: the device ran out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"{context.device} does not hold the network and what it learns with, before any "
            f"image ({_peak(context)}); choose a smaller encoder or decoder, or leave the device "
            "to this trial alone"
        ) from error


@contextmanager
def limited(context: DeviceContext) -> Iterator[None]:
    """Let a forward pass keep no more for its backward pass than the context's limit allows."""
    limit, kept = context.memory_mb, 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        if limit is not None and kept > limit * _MIB:
            raise torch.OutOfMemoryError(f"out of memory: the limit is {limit} MiB")
        return tensor.detach()

    if limit is None:
        yield
    else:
        with torch.autograd.graph.saved_tensors_hooks(keep, _same):
            yield


def peak_mb(context: DeviceContext) -> float | None:
    """Most memory that tensors took on the GPU since the last reset, in MiB."""
    if not context.is_cuda:
        return None
    return float(torch.cuda.max_memory_allocated(context.device)) / _MIB


def held_mb(context: DeviceContext) -> float | None:
    """Most of the GPU's memory that this process has taken since the last reset, in MiB.

    That is what torch has reserved, which is more than its tensors are, and what CUDA has besides.
    """
    if not context.is_cuda:
        return None
    most = float(torch.cuda.max_memory_reserved(context.device)) / _MIB
    now = float(torch.cuda.memory_reserved(context.device)) / _MIB
    own = _own_mb(context)
    # Less than torch has is another process's: a container counts processes by numbers of its own.
    return most + (_CUDA_MIB if own is None or own < now else own - now)


def _own_mb(context: DeviceContext) -> float | None:
    """What the driver says that this process holds; in most containers it does not."""
    with suppress(Exception):  # of NVIDIA's library, of its own kind
        import pynvml

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(context.device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
            if process.pid == os.getpid() and process.usedGpuMemory is not None:
                return float(process.usedGpuMemory) / _MIB
    return None


def footprint(model: nn.Module, *, copies: int) -> int:
    """Bytes of that many copies of a network's weights."""
    return copies * sum(parameter.nbytes for parameter in model.parameters())


def recall(config: TrialConfig, context: DeviceContext) -> int | None:
    """The micro-batch that an earlier trial of this network, size and device had to go down to."""
    found = notes.recall(context.cache, _FILE, _key(config, context))
    return found if isinstance(found, int) and found > 0 else None


def remember(config: TrialConfig, context: DeviceContext, micro_batch: int) -> None:
    """Keep what was found for the trials to come."""
    notes.keep(context.cache, _FILE, _key(config, context), micro_batch)


def _key(config: TrialConfig, context: DeviceContext) -> str:
    facts = (
        config.model.model_dump_json(exclude={"weights", "encoder_lr", "freeze_epochs"}),
        config.loss.model_dump_json(),
        config.optimizer.name,
        config.dataset.size,
        len(config.dataset.classes),
        config.training.determinism,
        config.training.ema is None,
        context.name,
        context.memory_mb,
    )
    return sha256(repr(facts).encode()).hexdigest()[:32]


def _peak(context: DeviceContext) -> str:
    if context.memory_mb is not None:
        return f"limit {context.memory_mb} MiB"
    peak = peak_mb(context)
    return "peak unknown" if peak is None else f"peak {peak:.0f} MiB"


def release(context: DeviceContext) -> None:
    """Give the device back what torch keeps for tensors to come."""
    gc.collect()
    if context.is_cuda:
        torch.cuda.empty_cache()


def _same(tensor: Tensor) -> Tensor:
    return tensor
