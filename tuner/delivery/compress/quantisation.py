"""INT8 by post-training quantisation: an ONNX file whose layers compute in eight bits.

onnxruntime's static quantisation in the QDQ format: weights per channel, activations with the
ranges that calibration saw on training images. Weights have seven bits, because processors without
VNNI add products of eight in sixteen, where they overflow: so a file gives the same anywhere.
Attention's products of two feature maps stay in float, as softmax and resizing do.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.delivery.export import to_onnx
from tuner.delivery.facts import Facts
from tuner.delivery.needs import require
from tuner.delivery.onnx_model import OnnxModel, open_onnx
from tuner.errors import DataError, TrainingError
from tuner.training import draws
from tuner.training.data.cache import DecodedSplit

CalibrationMethod = Literal["entropy", "percentile", "minmax"]
PRECISION = "int8"
_METHODS = {"entropy": "Entropy", "percentile": "Percentile", "minmax": "MinMax"}
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# What lies between layers in eight bits: to leave these would convert to float and back.
_BETWEEN = ("Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Pad", "Relu")


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """A float ONNX file, what it says of itself, and threads to run it with (0: all cores)."""

    path: Path
    facts: Facts
    threads: int = 0

    def opened(self) -> OnnxModel:
        """The file, open."""
        return open_onnx(self.path, threads=self.threads, name=self.facts.name)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A float ONNX file that is ready to be quantised, and the ranges that its tensors have.

    `layers` are its nodes with weights, which are quantised; `left` are the products without.
    """

    source: Path
    ranges: Path
    facts: Facts
    layers: tuple[str, ...]
    left: tuple[str, ...]
    method: CalibrationMethod
    threads: int = 0


class CalibrationReader(Protocol):
    """Images for calibration, one at a time, as onnxruntime asks for them."""

    def __len__(self) -> int: ...

    def set_range(self, start_index: int, end_index: int) -> None: ...  # noqa: D102

    def get_next(self) -> dict[str, NDArray[Any]] | None: ...  # noqa: D102


class CalibrationImages:
    """Training images for calibration, one at a time, as onnxruntime asks for them."""

    def __init__(self, split: DecodedSplit, count: int) -> None:
        """Choose `count` images by a counted draw, or all where there are fewer."""
        order = draws.permutation("calibration", length=len(split))
        self._split, self._chosen = split, order[:count]
        self._next, self._end = 0, len(self._chosen)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._chosen)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Give those alone."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next image, 1×C×H×W of float32 in 0 … 255; None after the last."""
        if self._next >= self._end:
            return None
        self._next += 1
        return {to_onnx.INPUT: self.image(self._next - 1)}

    def image(self, index: int) -> NDArray[np.float32]:
        """One of the chosen images, 1×C×H×W."""
        pixels = np.asarray(self._split.images[self._chosen[index]], dtype=np.float32)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def calibrated(
    source: OnnxSource, images: CalibrationReader, method: CalibrationMethod, *, folder: Path
) -> Calibrated:
    """Prepare a float file in `folder`, and watch its tensors on the images.

    Raises:
        PackageMissing: `onnx` or `onnxruntime` is not installed.
        DataError: there is no image.
        TrainingError: the network has no layer that can be quantised.
    """
    if len(images) == 0:
        raise DataError("there is no training image to calibrate with; use --images 1 or more")
    quantization = _quantization()
    prepared = folder / "prepared.onnx"
    with _quiet():
        quantization.shape_inference.quant_pre_process(
            str(source.path), str(prepared), skip_symbolic_shape=True
        )
    layers, left = _layers(prepared)
    if not layers:
        raise TrainingError(
            f"{source.facts.name} has no layer that can be quantised: no convolution and no "
            "product with weights"
        )
    found = Calibrated(
        prepared, folder / "ranges.json", source.facts, layers, left, method, source.threads
    )
    _quantise(found, folder / "first.onnx", exclude=left, only=(), images=images)
    return found


def quantised(found: Calibrated, path: Path, *, in_float: Collection[str] = ()) -> OnnxModel:
    """Write the quantised file, with these of its layers in float, and open it."""
    return _described(found, written(found, path, in_float=in_float))


def written(found: Calibrated, path: Path, *, in_float: Collection[str] = ()) -> Path:
    """Write the quantised file, with these of its layers in float."""
    _quantise(found, path, exclude=(*found.left, *in_float), only=())
    return path


def with_one_layer(found: Calibrated, path: Path, layer: str) -> OnnxModel:
    """Write a file in which one layer alone is quantised, and open it."""
    _quantise(found, path, exclude=(), only=(layer,))
    return _described(found, path)


def _described(found: Calibrated, path: Path) -> OnnxModel:
    onnx = require("onnx", purpose="quantisation")
    model = onnx.load(str(path))
    to_onnx.describe(model, found.facts.model_copy(update={"precision": PRECISION}))
    onnx.save_model(model, str(path))
    return open_onnx(path, threads=found.threads, name=f"{found.facts.name} in int8")


def _quantise(
    found: Calibrated,
    path: Path,
    *,
    exclude: Sequence[str],
    only: Sequence[str],
    images: CalibrationReader | None = None,
) -> None:
    quantization = _quantization()
    options = {"CalibPercentile": 99.99, "CalibStridedMinMax": 1 if images is not None else None}
    with _quiet():
        quantization.quantize_static(
            str(found.source),
            str(path),
            images,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_WEIGHTED, *_BETWEEN],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=list(only),
            nodes_to_exclude=list(exclude),
            calibrate_method=getattr(quantization.CalibrationMethod, _METHODS[found.method]),
            extra_options=options,
            calibration_cache_path=str(found.ranges),
        )


def _layers(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Nodes whose weights are constants, and those of the same kinds without, by name."""
    graph = require("onnx", purpose="quantisation").load(str(path)).graph
    constant = {each.name for each in graph.initializer}
    weighted = [node for node in graph.node if node.op_type in _WEIGHTED]
    learned = [node for node in weighted if len(constant & set(node.input)) > 0]
    names = {node.name for node in learned}
    return (
        tuple(node.name for node in learned),
        tuple(node.name for node in weighted if node.name not in names),
    )


def _quantization() -> Any:
    require("onnx", purpose="quantisation")
    require("onnxruntime.quantization.shape_inference", purpose="quantisation")
    return require("onnxruntime.quantization", purpose="quantisation")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what onnxruntime says of its progress, on standard output and as warnings."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        root.setLevel(before)
