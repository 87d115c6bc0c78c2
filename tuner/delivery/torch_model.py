"""TorchScript and `torch.export` files that segtune wrote, run by torch; `Predictor`s."""

from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from tuner.delivery import facts
from tuner.delivery.facts import KEY
from tuner.delivery.file_model import FileModel
from tuner.errors import DataUnavailable, TrainingError

_Loaded = Callable[[Tensor], Tensor]


def open_script(path: Path, *, name: str = "") -> FileModel:
    """Open a TorchScript file; only open those that you trust, because they are programs.

    Raises:
        DataUnavailable: there is no such file.
        TrainingError: the file is damaged, or was not written by segtune.
    """
    jit: Any = torch.jit

    def load(extra: dict[str, Any]) -> _Loaded:
        with path.open("rb") as file:
            loaded: _Loaded = jit.load(file, map_location="cpu", _extra_files=extra).eval()
        return loaded

    return _opened(path, load, "TorchScript", name)


def open_program(path: Path, *, name: str = "") -> FileModel:
    """Open a `.pt2` of `torch.export`.

    Raises:
        DataUnavailable, TrainingError: as `open_script`.
    """

    def load(extra: dict[str, Any]) -> _Loaded:
        with path.open("rb") as file:
            return torch.export.load(file, extra_files=extra).module()

    return _opened(path, load, "torch.export", name)


def _opened(
    path: Path, load: Callable[[dict[str, Any]], _Loaded], kind: str, name: str
) -> FileModel:
    if not path.is_file():
        raise DataUnavailable(f"there is no model file {path}; name a file that exists")
    extra: dict[str, Any] = {KEY: ""}
    try:
        with catch_warnings():
            simplefilter("ignore")
            module = load(extra)
    except Exception as error:  # torch has no class of its own for damaged files
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise TrainingError(
            f"{path.name} is not a {kind} file that this torch can load: {said}; it is truncated, "
            "or of another release"
        ) from error
    text = extra[KEY].decode(errors="replace") if isinstance(extra[KEY], bytes) else extra[KEY]
    if not text:
        raise TrainingError(
            f"{path.name} is not a {kind} file of segtune: it does not say its classes and how "
            "images are prepared; export it with `segtune export`"
        )

    @torch.inference_mode()
    def run(images: Tensor) -> Tensor:
        return module(images)

    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return FileModel(facts.parse(text, path.name), name or path.name, digest, run)
