"""ONNX files that segtune wrote, run by onnxruntime; a `Predictor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tuner.delivery import facts
from tuner.delivery.facts import KEY, Facts
from tuner.delivery.file_model import FileModel
from tuner.delivery.needs import require
from tuner.errors import DataUnavailable, InvalidInput, Problem, TrainingError

CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3
_NAMED = 8


@dataclass(frozen=True, eq=False)
class OnnxModel(FileModel):
    """An onnxruntime session with what its file says of itself."""

    session: Any


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
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
    except Exception as error:  # onnxruntime has a class of its own for every fault of a file
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error)
        raise TrainingError(
            f"{path.name} is not an ONNX file that onnxruntime can run: {said}; it is truncated, "
            "or was written for another release"
        ) from error
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    found = _facts(session, text, path)
    given = session.get_inputs()[0].name

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {given: images.numpy()})[0])

    return OnnxModel(found, name or path.name, digest, run, session)


def _check_providers(wanted: Sequence[str], there: Sequence[str]) -> None:
    missing = [each for each in wanted if each not in there]
    if missing:
        message = f"{missing[0]} is not in this onnxruntime; it has {', '.join(there)}"
        raise InvalidInput([Problem(("providers",), message)])


def _facts(session: Any, text: str | None, path: Path) -> Facts:
    """What the file says of itself, if its inputs and outputs are those it speaks of."""
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
