"""The two modes: `exact` repeats bit for bit on one machine, `fast` gives that up for speed.

On a CPU `exact` means the same number of threads too: each sums its own part, sums of another
division differ in their last digits, and a training makes more of that than last digits. The order
of the data and the first weights do not depend on it, nor do the sums on how many cores there are.
`exact` constrains kernels (CUDA's need CUBLAS_WORKSPACE_CONFIG before the first product) and keeps
float32 throughout. `fast` allows TF32, cuDNN autotuning, bf16 autocast and channels-last on CUDA.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils import deterministic as _memory


@dataclass(frozen=True, slots=True)
class DeviceContext:
    """Where to train: `cpu`, `cuda:0`, `mps`; `threads` None leaves torch's own number.

    `cache` is a folder for what is learned of the device: micro-batches and compiled kernels.
    `memory_mb` limits what a forward pass may keep, in MiB; None leaves all that there is.
    `checkpoint_seconds` is how long a checkpoint may wait that costs more time than it is worth
    (`tuner.training.cadence`); 0 writes one after every epoch.
    `is_shared` says that other trials may come to the device, `is_crowded` that some are there: a
    micro-batch is not made smaller for what they take.
    """

    device: str = "cpu"
    threads: int | None = None
    cache: Path | None = None
    memory_mb: int | None = None
    checkpoint_seconds: float = 0.0
    is_shared: bool = False
    is_crowded: bool = False

    @property
    def is_cuda(self) -> bool:
        """Whether the device is an NVIDIA or ROCm GPU."""
        return self.device.startswith("cuda")

    @property
    def may_run_out(self) -> bool:
        """Whether memory is worth a probe: without a limit a CPU's end is the system's business."""
        return self.is_cuda or self.memory_mb is not None

    @property
    def name(self) -> str:
        """Model of the GPU or of the processor."""
        if self.is_cuda:
            return torch.cuda.get_device_name(self.device)
        return platform.processor() or platform.machine()


@contextmanager
def applied(determinism: str, context: DeviceContext) -> Iterator[None]:
    """Set the process to a mode and thread count, and give everything back at the end."""
    exact = determinism == "exact"
    before = (
        torch.are_deterministic_algorithms_enabled(),
        _memory.fill_uninitialized_memory,  # type: ignore[attr-defined]  # set by a module class
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if context.cache is not None:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(context.cache / "compiled"))
    _set(exact, False, exact, not exact, not exact, "highest" if exact else "high")
    if context.threads is not None:
        torch.set_num_threads(context.threads)
    try:
        with torch.random.fork_rng(devices=[context.device] if context.is_cuda else []):
            yield
    finally:
        _set(*before[:6])
        torch.set_num_threads(before[6])


def autocast(determinism: str, context: DeviceContext) -> AbstractContextManager[object]:
    """bf16 on CUDA in the fast mode; it needs no loss scaling."""
    if determinism == "fast" and context.is_cuda:
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def _set(
    deterministic: bool, fill: bool, cudnn: bool, benchmark: bool, tf32: bool, precision: str
) -> None:
    torch.use_deterministic_algorithms(deterministic)
    # Filling fresh memory finds reads of it, which none of our layers do, and costs a pass.
    _memory.fill_uninitialized_memory = fill  # type: ignore[attr-defined]  # a module class
    torch.backends.cudnn.deterministic = cudnn
    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision(precision)
