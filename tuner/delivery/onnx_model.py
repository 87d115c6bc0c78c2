"""ONNX files that segtune wrote, run by onnxruntime; a `Predictor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.delivery import facts
from tuner.delivery.facts import KEY, Facts
from tuner.delivery.needs import require
from tuner.errors import DataUnavailable, InvalidInput, Problem, TrainingError
from tuner.spec.config import Size, TrialConfig
from tuner.spec.stored import read_config

CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3
_NAMED = 8


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An onnxruntime session with what its file says of itself."""

    session: Any
    facts: Facts
    name: str
    sha256: str

    @property
    def config(self) -> TrialConfig:
        """The config that it was trained by. Raises Unreadable."""
        return read_config(self.facts.config, f"the config in {self.name}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Its outputs in order."""
        return self.facts.classes

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return self.facts.channels

    @property
    def size(self) -> Size:
        """Height and width that it was trained at."""
        return self.facts.size

    @property
    def align_corners(self) -> bool:
        """How its logits are resized."""
        return self.facts.align_corners

    @property
    def gives_labels(self) -> bool:
        """Whether its output is the number of the class, and not scores."""
        return self.facts.gives == "labels"

    def logits(self, images: Tensor) -> Tensor:
        """Logits N×K×h×w at the decoder's stride, of images N×C×H×W in 0 … 255.

        Raises:
            TrainingError: the file gives labels, or takes images of another size only.
        """
        if self.gives_labels:
            raise TrainingError(
                f"{self.name} gives the class of each pixel and no scores; export it with --logits"
            )
        return torch.from_numpy(self._run(images))

    def labels(self, images: Tensor) -> Tensor:
        """Labels N×H×W of uint8 of images N×C×H×W, where the file gives those."""
        if not self.gives_labels:
            raise TrainingError(f"{self.name} gives scores; export it with --argmax for labels")
        return torch.from_numpy(self._run(images))

    def _run(self, images: Tensor) -> NDArray[Any]:
        facts.check_images(self.facts, self.name, (images.shape[1], *images.shape[-2:]))
        array = np.ascontiguousarray(images.detach().cpu().numpy(), dtype=np.float32)
        parts = [array] if self.facts.dynamic_batch else np.split(array, len(array))
        name = self.session.get_inputs()[0].name
        return np.concatenate([self.session.run(None, {name: part})[0] for part in parts])


def open_onnx(
    path: Path, *, threads: int = 0, providers: Sequence[str] = (CPU,), name: str = ""
) -> OnnxModel:
    """Open an ONNX file that segtune exported or quantised; 0 threads are as many as cores.

    Raises:
        PackageMissing: `onnxruntime` is not installed.
        DataUnavailable: there is no such file.
        InvalidInput: a provider that this onnxruntime does not have.
        TrainingError: the file is damaged, or was not written by segtune.
    """
    runtime = require("onnxruntime", purpose="running an ONNX file")
    if not path.is_file():
        raise DataUnavailable(f"there is no model file {path}; name an ONNX file that exists")
    _check_providers(providers, runtime.get_available_providers())
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = runtime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # onnxruntime has a class of its own for every fault of a file
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error)
        raise TrainingError(
            f"{path.name} is not an ONNX file that onnxruntime can run: {said}; it is truncated, "
            "or was written for another release"
        ) from error
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return OnnxModel(session, _facts(session, path), name or path.name, digest)


def _check_providers(wanted: Sequence[str], there: Sequence[str]) -> None:
    missing = [each for each in wanted if each not in there]
    if missing:
        message = f"{missing[0]} is not in this onnxruntime; it has {', '.join(there)}"
        raise InvalidInput([Problem(("providers",), message)])


def _facts(session: Any, path: Path) -> Facts:
    """What the file says of itself, if its inputs and outputs are those it speaks of."""
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if text is None:
        shown = ", ".join(f"{each.name} {each.shape}" for each in inputs[:_NAMED])
        raise TrainingError(
            f"{path.name} is not an ONNX file of segtune: it does not say its classes and how "
            f"images are prepared (its inputs: {shown}); export it with `segtune export`"
        )
    found = facts.parse(text, path.name)
    if len(inputs) != 1 or len(outputs) != 1:
        raise TrainingError(
            f"{path.name} has {len(inputs)} inputs and {len(outputs)} outputs; a model of segtune "
            "has one of each: it was changed; export it again"
        )
    return found
