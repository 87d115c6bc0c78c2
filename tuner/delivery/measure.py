"""What one image costs a network where it is to run: time, memory, size; measured, not estimated.

All is measured with one image at a time, as it comes from a file (8 bits, or the data set's own
depth) to one class for each of its pixels: normalised, through the network, logits resized to the
image, argmax. The weights' values do not matter, so that an untrained network is as good.
"""

import copy
import logging
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tuner.delivery.live_bytes import LiveBytes
from tuner.delivery.measure_onnx import opened as onnx_network
from tuner.errors import OutOfMemory, TrainingError
from tuner.spec.config import Size
from tuner.spec.deployment import Deployment, Measurements, unsupported
from tuner.training.failures import is_out_of_memory, unfitness
from tuner.training.network.model import SegmentationModel, parameter_count
from tuner.training.network.resize import resize
from tuner.wording import quantity

logger = logging.getLogger(__name__)
# INT8 is made of a network in float32.
_DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int8": torch.float32,
}
_MIB = 2**20
_GREY = 127
_MOST_ABOVE_FAST, _MOST_ABOVE_MEDIAN = 1.25, 1.5  # median and p95 of a calm round


class Effort(NamedTuple):
    """How often an inference is timed, twice at least, and the seconds after which it is enough.

    No more than so many rounds of that are made, and none begins after `limit` seconds.
    """

    warmup: int = 3
    least: int = 5
    most: int = 100
    seconds: float = 3.0
    rounds: int = 5
    limit: float = 10.0


class Timing(NamedTuple):
    """Milliseconds of one inference, median and 95th percentile, and images per second."""

    latency_ms: float
    latency_p95_ms: float
    throughput: float


def timed(
    run: Callable[[], object],
    *,
    wait: Callable[[], None] | None = None,
    effort: Effort = Effort(),  # noqa: B008  # frozen
) -> Timing:
    """How long `run`, one inference of one image, takes in any runtime.

    `wait` returns once a device has done what it was given; None where `run` does so itself. Some
    repetitions are made whatever they take; then no more begin once `effort.seconds` are over.
    Where their times differ much, another round is made, and the one with the lowest median counts:
    what else a machine does can only slow an inference down.
    """
    finish = wait or (lambda: None)
    began = perf_counter()
    for done in range(effort.warmup):
        if done and perf_counter() - began > effort.seconds:
            break  # what is so slow is warm by now
        run()
        finish()
    began = perf_counter()
    rounds = [_round(run, finish, effort)]
    while (
        not _is_calm(rounds[-1])
        and len(rounds) < effort.rounds
        and perf_counter() - began < effort.limit
    ):
        rounds.append(_round(run, finish, effort))
    times = min(rounds, key=statistics.median)
    middle, p95 = statistics.median(times), _p95(times)
    if not _is_calm(times):
        logger.warning(
            "latency is not steady after %s: median %.2f ms, p95 %.2f ms; the machine does "
            "something else meanwhile, leave it to the worker where latency counts",
            quantity(len(rounds), "round"),
            1000 * middle,
            1000 * p95,
        )
    whole = sum(times)
    if wait is not None:  # a device has the next image while we prepare another
        start = perf_counter()
        for _ in times:
            run()
        finish()
        whole = perf_counter() - start
    return Timing(1000 * middle, 1000 * p95, len(times) / whole)


def _round(run: Callable[[], object], finish: Callable[[], None], effort: Effort) -> list[float]:
    """Seconds of one inference after the other."""
    times: list[float] = []
    began = perf_counter()
    while len(times) < effort.least or (
        len(times) < effort.most and perf_counter() - began < effort.seconds
    ):
        start = perf_counter()
        run()
        finish()
        times.append(perf_counter() - start)
    return times


def _is_calm(times: Sequence[float]) -> bool:
    """Whether most inferences took about as long as the fastest of them."""
    fast = statistics.quantiles(times, n=4, method="inclusive")[0]
    middle = statistics.median(times)
    return middle <= _MOST_ABOVE_FAST * fast and _p95(times) <= _MOST_ABOVE_MEDIAN * middle


def _p95(times: Sequence[float]) -> float:
    """The time within which 95 of 100 end, which lies between the two nearest measured ones."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def measure(
    model: SegmentationModel,
    *,
    size: Size,
    channels: int,
    deployment: Deployment,
    effort: Effort = Effort(),  # noqa: B008  # frozen
    device: str | None = None,
) -> Measurements:
    """What the network costs on images of that size and number of channels; it stays as it is.

    `device` is one of the deployment's class, by torch's name.

    Raises:
        PackageMissing: onnxruntime is asked for, and is not installed, or not for this device.
        OutOfMemory: the device does not hold the network and one image.
        TrainingError: the runtime cannot run it there in this precision.
    """
    deployment = deployment.at(size)
    place = torch.device(device or deployment.device)
    _check_runs(deployment)
    costs_in = _in_onnxruntime if deployment.runtime == "onnxruntime" else _in_torch
    try:
        with _set(deployment):
            memory, timing, macs = costs_in(_Job(model, size, channels, deployment, place, effort))
    except (RuntimeError, MemoryError) as error:
        if unfitness(error):
            raise
        where = f"on {place} in {deployment.precision} at {size[0]}×{size[1]}"
        if deployment.runtime != "torch":
            where = f"by {deployment.runtime} {where}"
        if is_out_of_memory(error):
            raise OutOfMemory(
                f"one image does not fit {where}, where the model is to run; use a smaller model, "
                "or a smaller deployment.size"
            ) from error
        raise TrainingError(
            f"the network cannot be run {where}, so that its costs cannot be measured: {error}; "
            "use another deployment.precision"
            + ("" if deployment.runtime == "torch" else ", or runtime: torch")
        ) from error
    return Measurements(
        **timing._asdict(),
        memory_mb=memory / _MIB,
        parameters=parameter_count(model),
        macs=macs,
    )


class _Job(NamedTuple):
    """What is measured, of which images, where, and how often."""

    model: SegmentationModel
    size: Size
    channels: int
    deployment: Deployment
    place: torch.device
    effort: Effort

    def images(self) -> Tensor:
        """One grey image."""
        return torch.full(
            (1, self.channels, *self.size), _GREY, dtype=torch.uint8, device=self.place
        )


class _Costs(NamedTuple):
    """Bytes at the worst moment, times, multiply-accumulates."""

    memory: int
    timing: Timing
    macs: int


@torch.inference_mode()
def _in_torch(job: _Job) -> _Costs:
    place = job.place
    held = _allocated(place)
    whole = _Whole(copy.deepcopy(job.model), job.size).eval().to(place)
    images = job.images()
    macs = _macs(whole, images)
    whole = whole.to(_DTYPES[job.deployment.precision])
    if place.type == "cuda":
        torch.cuda.empty_cache()
    memory = _memory(whole, images, held)
    timing = timed(partial(whole, images), wait=_wait(place), effort=job.effort)
    return _Costs(memory, timing, macs)


def _in_onnxruntime(job: _Job) -> _Costs:
    network = copy.deepcopy(job.model).eval().to(job.place)
    macs = _macs(_Whole(network, job.size), job.images())
    network = network.to("cpu", _DTYPES[job.deployment.precision])
    with onnx_network(network, job.size, job.deployment, job.place) as there:
        timing = timed(there.run, effort=job.effort)
    return _Costs(there.memory, timing, macs)


class _Whole(nn.Module):
    """From an image as it is read to classes: 1×C×H×W whole numbers to 1×H×W."""

    def __init__(self, model: SegmentationModel, size: Size) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: Tensor) -> Tensor:
        """Classes by pixel."""
        logits, _ = self.model.coarse(images.to(self.model.mean.dtype))  # 1×K×h×w
        return resize(logits, self.size, align_corners=self.model.align_corners).argmax(dim=1)


def _check_runs(deployment: Deployment) -> None:
    """Raise TrainingError where a study's check would have refused the deployment."""
    if reason := unsupported(deployment):
        raise TrainingError(f"{deployment} cannot be measured: {reason}")


@contextmanager
def _set(deployment: Deployment) -> Iterator[None]:
    """Threads as they are deployed, kernels chosen by trying, float32 in full; all given back."""
    cudnn = torch.backends.cudnn
    before = (torch.get_num_threads(), cudnn.benchmark, cudnn.allow_tf32)
    deterministic = torch.are_deterministic_algorithms_enabled()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(deployment.threads or before[0])
    cudnn.benchmark, cudnn.allow_tf32 = True, False
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cudnn.benchmark, cudnn.allow_tf32 = before[1:]
        torch.use_deterministic_algorithms(deterministic)
        torch.set_float32_matmul_precision(precision)


def _macs(whole: nn.Module, images: Tensor) -> int:
    """Multiply-accumulates of convolutions and matrix products; all else is small beside them."""
    # Inference mode hands convolutions to the counter whole, under a name that it does not know.
    with torch.inference_mode(False), torch.no_grad():
        counter = FlopCounterMode(display=False, custom_mapping=_FUSED)
        with counter:
            whole(images.clone())
    return int(counter.get_total_flops()) // 2


def _rnn_flops(sequence: Size, *rest: Any, out_shape: Any = None, **options: Any) -> int:
    """Two for each weight at each position of a batch of sequences, whose shape begins with these.

    cuDNN takes the weights and biases as one list, oneDNN as four arguments before the states.
    """
    weights = rest[:4] if isinstance(rest[0], torch.Size) else rest[0]
    products = sum(shape[0] * shape[1] for shape in weights if len(shape) == 2)
    return 2 * sequence[0] * sequence[1] * int(products)


# Recurrent layers that the counter of torch does not know: each is one operator.
_FUSED = {torch.ops.aten.mkldnn_rnn_layer: _rnn_flops, torch.ops.aten._cudnn_rnn: _rnn_flops}


def _memory(whole: nn.Module, images: Tensor, held: int) -> int:
    """Bytes of the weights and of what lives beside them at the worst moment of an inference.

    On CUDA they are what the allocator gave out beyond what others held before.
    """
    if images.is_cuda:
        torch.cuda.reset_peak_memory_stats(images.device)
        whole(images)
        torch.cuda.synchronize(images.device)
        return int(torch.cuda.max_memory_allocated(images.device)) - held
    live = LiveBytes()
    with torch.inference_mode(False), torch.no_grad(), live:
        whole(images.clone())
    weights = sum(t.nbytes for t in (*whole.parameters(), *whole.buffers()))
    return weights + live.peak


def _wait(device: torch.device) -> Callable[[], None] | None:
    return partial(torch.cuda.synchronize, device) if device.type == "cuda" else None


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
