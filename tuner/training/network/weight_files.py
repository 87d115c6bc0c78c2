"""Files of weights: found under a root or fetched, read as tensors by name, whatever wrote them."""

import logging
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import load_file
from torch import Tensor

from tuner.errors import DataUnavailable, TrainingError, WeightsUnavailable
from tuner.training import paths

logger = logging.getLogger(__name__)
# Where libraries put the state dict of a model, the averaged one first, as timm reads them.
_WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),
    *("state_dict", "model_state_dict", "model", "module", "state", "teacher", "student", "net"),
)
_DEEPEST = 4
_ZIP, _PICKLE = b"P", b"\x80"  # first bytes of what torch.save writes
_LENGTH = 8  # bytes of the length with which a safetensors file begins
# How files begin that are often found in place of weights.
_OTHERS: Mapping[bytes, str] = {
    b"<": "a web page or XML; was it downloaded without signing in?",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"\x93NUMPY": "a NumPy array",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"{": "JSON text",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """Tensors by name; `norm_eps` is that of its batch norms, where the file says so.

    `pruning` is what the file says of channels that its network lost.
    """

    tensors: dict[str, Tensor]
    norm_eps: float | None = None
    pruning: Mapping[str, Any] = field(default_factory=dict)


def locate(name: str, roots: Sequence[Path], *, key: str = "model.weights") -> Path:
    """The file of a path or `file:` address under an allowed root, or fetched from `http(s):`.

    An address carries the digest of its file, so that a config means the same bytes everywhere:
    `https://example.org/hrnet.pth#sha256=…`. What was fetched is kept in torch's hub folder.
    Messages name the `key` that holds it.

    Raises:
        WeightsUnavailable: no such file under an allowed root, or it cannot be fetched.
        TrainingError: the address has no digest, or gives other bytes.
    """
    address = urlsplit(name)
    if address.scheme not in ("http", "https"):
        path = unquote(address.path) if address.scheme == "file" else name
        try:
            return paths.allowed(path, roots, what="weights file")
        except DataUnavailable as error:
            raise WeightsUnavailable(str(error)) from error
    digest = address.fragment.removeprefix("sha256=").lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise TrainingError(
            f"{key} '{name}' has no digest; append #sha256= and the 64 digits of the file's"
        )
    target = Path(torch.hub.get_dir()) / "checkpoints" / f"{digest}{Path(address.path).suffix}"
    if not target.exists():
        _fetch(address._replace(fragment="").geturl(), target, digest, key)
    return target


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def read(path: Path) -> Contents:
    """What a file holds, freed of the wrappers of trainers and of data parallelism.

    Raises:
        TrainingError: it cannot be read, or holds no state dict.
    """
    loaded = load_file_of_tensors(path)
    found = _state_dict(loaded, _DEEPEST)
    if found is None:
        raise TrainingError(
            f"weights file {path.name} holds no state dict of tensors but {_described(loaded)}; "
            "save one with torch.save(model.state_dict(), path)"
        )
    eps = loaded.get("norm_eps") if isinstance(loaded, dict) else None
    pruning = loaded.get("pruning") if isinstance(loaded, dict) else None
    return Contents(
        found,
        float(eps) if isinstance(eps, float) else None,
        pruning if isinstance(pruning, Mapping) else {},
    )


def load_file_of_tensors(path: Path) -> Any:
    """What `torch.save` or safetensors wrote, tensors and plain values only, on the CPU.

    Raises:
        WeightsUnavailable: the file cannot be read on this machine.
        TrainingError: it is damaged, holds other objects, or is something else.
    """
    if path.is_dir():
        raise TrainingError(f"weights file {path.name} is a folder; name the file in it")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsUnavailable(
            f"weights file {path.name} cannot be read on this machine: {error}"
        ) from error
    if not head:
        raise TrainingError(f"weights file {path.name} is empty; copy or fetch it again")
    is_safetensors = _is_safetensors(head)
    if not is_safetensors and (kind := _other_kind(head)) is not None:
        raise TrainingError(_unreadable(path, f"it is {kind}"))
    try:
        # torch warns of other pickles, and judges by a file's name if it gets one.
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            if is_safetensors:
                return load_file(path)
            return torch.load(file, map_location="cpu", weights_only=True)
    # Whatever bytes stand there: a damaged file raises nearly anything.
    except Exception as error:
        has_objects = isinstance(error, pickle.UnpicklingError) and head[:1] in (_PICKLE, _ZIP)
        if has_objects or "torch.jit" in str(error):
            raise TrainingError(
                f"weights file {path.name} holds objects other than tensors, which are not loaded "
                "because they could run code; save the state dict alone: "
                "torch.save(model.state_dict(), path)"
            ) from error
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise TrainingError(_unreadable(path, f"it is damaged, or not one ({why})")) from error


def _is_safetensors(head: bytes) -> bool:
    """Whether a file begins with the length of a JSON header, and that header."""
    return head[_LENGTH // 2 : _LENGTH + 1] == b"\0\0\0\0{"


def _other_kind(head: bytes) -> str | None:
    """What a file is that begins like this and holds no weights; None where it may."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, kind in _OTHERS.items():
        if text.startswith(start):
            return kind
    first = text.splitlines()[0][:24] if text else b""
    is_text = text.isascii() and first.decode("ascii").isprintable()
    return f"text: {first.decode('ascii')!r}" if is_text else None


def _unreadable(path: Path, why: str) -> str:
    return f"weights file {path.name} cannot be read as PyTorch or safetensors: {why}"


def _state_dict(loaded: Any, depth: int) -> dict[str, Tensor] | None:
    """Tensors by name of a state dict or of what wraps one; None where there is none."""
    if not isinstance(loaded, Mapping) or depth == 0:
        return None
    for key in _WRAPPERS:
        if (found := _state_dict(loaded.get(key), depth - 1)) is not None:
            return found
    tensors = {
        _plain(name): value
        for name, value in loaded.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    return tensors or None


def _plain(name: str) -> str:
    """A name without what data parallelism and compilation put into it."""
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name.replace("_orig_mod.", "")


def _described(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        names = ", ".join(str(key) for key in list(loaded)[:5])
        return f"a dictionary of {names}" if names else "an empty dictionary"
    return f"a value of type {type(loaded).__name__}"


def _fetch(url: str, target: Path, digest: str, key: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(target), hash_prefix=digest, progress=False)
    except OSError as error:
        if error.errno in paths.FULL:
            raise
        raise WeightsUnavailable(
            f"weights could not be fetched from {url}: {error}; offline, put the file on the "
            f"worker and name it in {key}"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"weights could not be fetched from {url}: {error}") from error
    logger.info("fetched weights from %s", url)
