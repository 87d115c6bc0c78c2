"""What the processes that train one trial tell each other; a process alone has nobody to ask."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from inspect import signature
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented
from torch.nn.parallel import DistributedDataParallel

from tuner.errors import DataChanged
from tuner.training.ranks import Rank

# One who has died ends the others; one who is slow, say in decoding, is waited for.
_TIMEOUT = timedelta(days=1)
_MEETING = timedelta(minutes=30)  # for the slowest to load its libraries and the data
_T = TypeVar("_T")
# Torch renames it; a release warns of the other's name, or does not know it.
_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)


class ProcessGroup:
    """One process alone: all that is asked of the group is its own."""

    rank = Rank()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, whose backward pass gives the mean of all ranks' gradients."""
        return module

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of all ranks' tensors, which are of one shape and type."""
        return tensor

    def least(self, number: int) -> int:
        """The least of all ranks' numbers."""
        return number

    def agreed(self, value: _T) -> _T:
        """What rank 0 says; a small value."""
        return value

    def gathered(self, value: _T) -> list[_T]:
        """What each rank says, in their order; small values."""
        return [value]

    def align(self, module: nn.Module) -> None:
        """Give every rank the buffers of rank 0, such as the running statistics of batch norms."""


class Ranks(ProcessGroup):
    """Several processes of one machine, each with a device of its own.

    Tensors travel by NCCL between GPUs and by Gloo between processors. What a rank decides is
    always sent by Gloo, so that it does not wait for a GPU's work.
    """

    def __init__(self, rank: Rank, device: str) -> None:
        """`torch.distributed` must be initialised: see `joined`."""
        self.rank = rank
        self._device = torch.device(device)
        is_cuda = self._device.type == "cuda"
        self._words: Any = dist.new_group(backend="gloo", timeout=_TIMEOUT) if is_cuda else None

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module under DDP.

        Parameters without a gradient are looked for in each pass: which ones have none changes
        with frozen epochs, and the buckets stay those of the first step, so that a resumed trial
        sums in the same order.
        """
        options: dict[str, Any] = {_BUFFERS: False}
        if self._device.type == "cuda":
            options["device_ids"] = [self._device]
        return DistributedDataParallel(module, find_unused_parameters=True, **options)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of all ranks' tensors, on every rank."""
        found = tensor.clone()
        dist.all_reduce(found)
        return found

    def least(self, number: int) -> int:
        """The least of all ranks' numbers."""
        return min(self.gathered(number))

    def agreed(self, value: _T) -> _T:
        """What rank 0 says."""
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._words)
        return box[0]

    def gathered(self, value: _T) -> list[_T]:
        """What each rank says, in their order."""
        found: list[_T | None] = [None] * self.rank.count
        dist.all_gather_object(found, value, group=self._words)
        return cast(list[_T], found)

    @torch.no_grad()
    def align(self, module: nn.Module) -> None:
        """Give every rank the buffers of rank 0, in one message.

        Whole numbers do not learn: masks and positions are everywhere the same, and not every
        type and layout of them can be sent.
        """
        buffers = [each for each in module.buffers() if each.is_floating_point()]
        if not buffers:
            return
        sent = torch.cat([buffer.flatten() for buffer in buffers])
        dist.broadcast(sent, src=0)
        parts = torch.split(sent, [buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


@contextmanager
def joined(rank: Rank, device: str, store: TCPStore) -> Iterator[ProcessGroup]:
    """The group of all ranks that meet in this store; waits until each is there.

    After an error GPUs stay in the group: see `is_bound`.
    """
    is_cuda = torch.device(device).type == "cuda"
    if is_cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if is_cuda else "gloo",
        store=store,
        rank=rank.index,
        world_size=rank.count,
        timeout=_TIMEOUT,
    )
    try:
        yield Ranks(rank, device)
    except Exception as error:
        # NCCL would wait for what the others owe, and they for this rank. Data are looked at
        # before anything was exchanged.
        if not is_cuda or isinstance(error, DataChanged):
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def is_bound() -> bool:
    """Whether this process could not leave a group, and must end so that nobody waits for it."""
    return dist.is_initialized()


def meeting_place(host: str, count: int) -> TCPStore:
    """Where so many ranks find each other: the first of them opens it, on a port that is free."""
    listener = socket.create_server((host, 0))  # torch itself would listen on every address
    return TCPStore(
        host,
        listener.getsockname()[1],
        count,
        is_master=True,
        timeout=_MEETING,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),  # which it closes
    )


def met(host: str, port: int, count: int) -> TCPStore:
    """The same for every other rank."""
    return TCPStore(host, port, count, is_master=False, timeout=_MEETING)
