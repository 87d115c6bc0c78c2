"""An untrained network as onnxruntime runs it: exported, for INT8 quantised, opened to be timed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import tuner
from tuner.delivery import onnx_memory
from tuner.delivery.compress import quantisation
from tuner.delivery.export import to_onnx
from tuner.delivery.export.graph import Graph
from tuner.delivery.facts import Facts
from tuner.delivery.needs import require
from tuner.delivery.onnx_model import CPU
from tuner.errors import PackageMissing, SegtuneError
from tuner.spec.config import Size
from tuner.spec.deployment import Deployment
from tuner.training.failures import unfitness
from tuner.training.network.model import SegmentationModel

CUDA = "CUDAExecutionProvider"
_PURPOSE = "measuring in onnxruntime"
_ERRORS_ONLY = 3
_GREY = 127
_RUNS = 3


class OnnxNetwork(NamedTuple):
    """One inference of one image, from its pixels to its classes, and the bytes that it takes."""

    run: Callable[[], object]
    memory: int


class _Typed(Graph):
    """From images of any numbers to classes, computed in the numbers of the weights."""

    def forward(self, images: Tensor) -> Tensor:
        """Labels N×H×W."""
        return super().forward(images.to(self.network.mean.dtype))


class RandomImages:
    """What INT8 is calibrated with where only its speed counts: noise.

    Ranges that are wrong for real images make wrong classes, and take as long as right ones.
    """

    def __init__(self, channels: int, size: Size) -> None:
        """One image of noise, the same every time."""
        noise = np.random.default_rng(0).random((1, channels, *size), dtype=np.float32)
        self._image, self._left = 255 * noise, 1

    def __len__(self) -> int:
        """How many there are."""
        return 1

    def set_range(self, start_index: int, end_index: int) -> None:
        """Give those alone."""
        self._left = end_index - start_index

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The image, once."""
        self._left -= 1
        return {to_onnx.INPUT: self._image} if self._left >= 0 else None


def check_runtime(deployment: Deployment) -> str:
    """The version of onnxruntime, which runs on such a device here. Raises PackageMissing."""
    runtime = require("onnxruntime", purpose=_PURPOSE)
    if deployment.device == "cuda" and CUDA not in runtime.get_available_providers():
        raise PackageMissing(
            f"{_PURPOSE} on cuda needs the package onnxruntime-gpu, and the onnxruntime "
            f"{runtime.__version__} that is installed here has no {CUDA}; replace it with: "
            "pip uninstall onnxruntime && pip install onnxruntime-gpu"
        )
    return str(runtime.__version__)


@contextmanager
def opened(
    model: SegmentationModel, size: Size, deployment: Deployment, place: torch.device
) -> Iterator[OnnxNetwork]:
    """The network in a session of onnxruntime with torch's number of threads; it stays as it is.

    The weights' values do not matter to its costs, nor do those that INT8 is calibrated with: the
    network is not trained, and no image is real. So the file is not compared with the network.

    Raises:
        PackageMissing: onnxruntime, or what exports to it, is not installed, or cannot use `place`.
        OSError: there is no room for the file.
        RuntimeError: the network cannot be exported, quantised or run.
    """
    check_runtime(deployment)
    with TemporaryDirectory(prefix="segtune-") as name:
        try:
            path = _written(model, size, deployment.precision, Path(name))
            network = _network(path, model.channels, size, place)
        except (SegtuneError, MemoryError):
            raise
        except Exception as error:  # both packages raise what they like
            if unfitness(error):
                raise
            raise RuntimeError(_first_line(error)) from error
        yield network


def _written(model: SegmentationModel, size: Size, precision: str, folder: Path) -> Path:
    """The network as an ONNX file for one image of that size, in that precision."""
    path = folder / "network.onnx"
    facts = _facts(model, size)
    to_onnx.write(_Typed(model, "labels"), facts, path)
    if precision != quantisation.PRECISION:
        return path
    source = quantisation.OnnxSource(path, facts, torch.get_num_threads())
    images = RandomImages(model.channels, size)
    ready = quantisation.calibrated(source, images, "minmax", folder=folder)
    return quantisation.written(ready, folder / "int8.onnx")


def _network(path: Path, channels: int, size: Size, place: torch.device) -> OnnxNetwork:
    runtime = require("onnxruntime", purpose=_PURPOSE)
    threads = torch.get_num_threads()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    images = np.full((1, channels, *size), _GREY, dtype=np.uint8)
    if place.type == "cuda":
        return _on_cuda(path, options, images, place)
    session = runtime.InferenceSession(str(path), options, providers=[CPU])
    memory = onnx_memory.resident_bytes(path, threads=threads)

    def run() -> object:
        return session.run(None, {to_onnx.INPUT: images.astype(np.float32)})

    return OnnxNetwork(run, memory)


def _on_cuda(
    path: Path, options: Any, images: NDArray[np.uint8], place: torch.device
) -> OnnxNetwork:
    """Image and classes stay on the device, as they do in torch; a run ends once it is done.

    Memory is what the device has less afterwards, of which nobody else must take any meanwhile.
    """
    runtime = require("onnxruntime", purpose=_PURPOSE)
    with torch.cuda.device(place):
        index = torch.cuda.current_device()
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(index)
    how = {"device_id": index, "arena_extend_strategy": "kSameAsRequested"}
    session = runtime.InferenceSession(str(path), options, providers=[(CUDA, how), CPU])
    if CUDA not in session.get_providers():
        raise PackageMissing(
            f"{_PURPOSE} on cuda: the onnxruntime-gpu {runtime.__version__} that is installed here "
            "does not load its libraries; install the CUDA and cuDNN that it is built for"
        )
    given = runtime.OrtValue.ortvalue_from_numpy(images.astype(np.float32), "cuda", index)
    binding = session.io_binding()
    binding.bind_ortvalue_input(to_onnx.INPUT, given)
    binding.bind_output(session.get_outputs()[0].name, "cuda", index)
    run = partial(session.run_with_iobinding, binding)
    for _ in range(_RUNS):
        run()
    left, _ = torch.cuda.mem_get_info(index)
    return OnnxNetwork(run, max(free - left, 0))


def _facts(model: SegmentationModel, size: Size) -> Facts:
    """What is needed to write a file that nobody else sees."""
    return Facts(
        segtune=tuner.__version__,
        name="the network",
        gives="labels",
        input=to_onnx.INPUT,
        output="labels",
        classes=("label",),
        palette=((0, 0, 0),),
        channels=model.channels,
        size=size,
        dynamic_batch=False,
        dynamic_size=False,
        mean=(0.0,) * model.channels,
        std=(1.0,) * model.channels,
        align_corners=model.align_corners,
        ignore_index=255,
        model_sha256="",
        config_sha256="",
        config={},
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
