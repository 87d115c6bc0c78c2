"""Any model file as a `Predictor`, told apart by its content, never by its name."""

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.predictor import Predictor
from tuner.delivery.torch_model import open_program, open_script
from tuner.delivery.trained import open_model
from tuner.errors import DataUnavailable, TrainingError

# The first field of an ONNX model is its version: field 1, a number.
_ONNX = b"\x08"
_ZIP = b"PK\x03\x04"
_TEXT = (b"{", b"[")


def open_any(path: Path, *, device: str = "cpu", threads: int = 0, name: str = "") -> Predictor:
    """Open a `model.pt`, or an ONNX, TorchScript or `torch.export` file of segtune.

    Raises:
        DataUnavailable: there is no such file.
        PackageMissing: the package that runs it is not installed.
        TrainingError: the file is damaged, or is none of these.
    """
    if not path.is_file():
        raise DataUnavailable(f"there is no model file {path}; name one that exists")
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ONNX):
        return open_onnx(path, threads=threads, name=name)
    if head.lstrip().startswith(_TEXT):
        raise TrainingError(f"{path.name} is JSON, and not a model; name a model file")
    if head.startswith(_ZIP):
        parts = _parts(path)
        if "constants.pkl" in parts:
            return open_script(path, name=name)
        if "archive_format" in parts:
            return open_program(path, name=name)
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
