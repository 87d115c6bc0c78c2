"""Any model file as a `Predictor`, told apart by its content, never by its name."""

from pathlib import Path
from typing import Literal
from zipfile import BadZipFile, ZipFile

from tuner.delivery.ensemble import Locate, is_ensemble, open_ensemble
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.predictor import Predictor
from tuner.delivery.torch_model import open_program, open_script
from tuner.delivery.trained import open_model
from tuner.errors import DataUnavailable, TrainingError

FileKind = Literal["trained", "ensemble", "onnx", "torchscript", "torch-export", "document"]
# The first field of an ONNX model is its version: field 1, a number.
_ONNX = b"\x08"
_ZIP = b"PK\x03\x04"
_TEXT = (b"{", b"[")


def kind_of(path: Path) -> FileKind:
    """What a file holds; `trained` is a `model.pt`, or nothing that is known.

    Raises:
        DataUnavailable: there is no such file.
        TrainingError: it is an archive that is damaged.
    """
    if not path.is_file():
        raise DataUnavailable(f"there is no model file {path}; name one that exists")
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ONNX):
        return "onnx"
    if head.lstrip().startswith(_TEXT):
        return "ensemble" if is_ensemble(path) else "document"
    if head.startswith(_ZIP):
        parts = _parts(path)
        if "constants.pkl" in parts:
            return "torchscript"
        if "archive_format" in parts:
            return "torch-export"
    return "trained"


def open_any(
    path: Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    name: str = "",
    locate: Locate | None = None,
) -> Predictor:
    """Open a `model.pt`, an ensemble, or an ONNX, TorchScript or `torch.export` file of segtune.

    Args:
        threads: of onnxruntime; 0 are as many as cores.
        locate: where the model of an ensemble's member is that is not beside the file.

    Raises:
        DataUnavailable: there is no such file, or a member of an ensemble is missing.
        InvalidInput: the ensemble is not a valid one.
        PackageMissing: the package that runs it is not installed.
        TrainingError: the file is damaged, or is none of these.
    """
    match kind_of(path):
        case "document":
            raise TrainingError(f"{path.name} is JSON, and not a model; name a model file")
        case "ensemble":
            return open_ensemble(path, device=device, locate=locate, name=name)
        case "onnx":
            return open_onnx(path, threads=threads, name=name)
        case "torchscript":
            return open_script(path, name=name)
        case "torch-export":
            return open_program(path, name=name)
        case "trained":
            return open_model(path, device=device, name=name)


def _parts(path: Path) -> set[str]:
    """The names in an archive without their folders. Raises TrainingError."""
    try:
        with ZipFile(path) as archive:
            return {Path(name).name for name in archive.namelist()}
    except (BadZipFile, OSError) as error:
        raise TrainingError(
            f"{path.name} is not a whole model file: {error}; it is truncated or damaged"
        ) from error
