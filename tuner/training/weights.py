"""Weights from a file or an address, in the layout of timm, torchvision, SMP or our checkpoints.

Names are compared without their prefix, and where a library names the same network otherwise
(torchvision's MobileNet), tensor by tensor in their order, if every shape agrees.
"""

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from tuner.errors import TrainingError
from tuner.training import paths

_logger = logging.getLogger(__name__)
_OWN = "encoder.net."
_PREFIXES = (_OWN, "encoder.", "backbone.", "")
_HEADS = ("classifier.", "aux_classifier.")
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_RGB = 3
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Matched:
    """Which tensors of the model were in the file, which were not, and which had another shape."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    reshaped: tuple[str, ...]
    unused: int

    def __str__(self) -> str:
        """Give counts, and the first names of what was left as initialised."""
        left = [*self.missing, *self.reshaped]
        total = len(self.loaded) + len(left)
        names = f", first {', '.join(left[:3])}" if left else ""
        return (
            f"{len(self.loaded)} of {total} tensors matched; {len(self.missing)} are not in the "
            f"file and {len(self.reshaped)} have another shape there{names}; {self.unused} of the "
            "file's were not used"
        )


def locate(name: str, roots: Sequence[Path]) -> Path:
    """The file of a path or `file:` address under an allowed root, or fetched from `http(s):`.

    An address carries the digest of its file, so that a config means the same bytes everywhere:
    `https://example.org/hrnet.pth#sha256=…`. What was fetched is kept in torch's hub folder.

    Raises:
        DataError: no such file under an allowed root.
        TrainingError: the address has no digest, cannot be fetched, or gives other bytes.
    """
    address = urlsplit(name)
    if address.scheme not in ("http", "https"):
        path = unquote(address.path) if address.scheme == "file" else name
        return paths.allowed(path, roots, what="weights file")
    digest = address.fragment.removeprefix("sha256=").lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise TrainingError(
            f"model.weights '{name}' has no digest; append #sha256= and the 64 digits of the file's"
        )
    target = Path(torch.hub.get_dir()) / "checkpoints" / f"{digest}{Path(address.path).suffix}"
    if not target.exists():
        _fetch(address._replace(fragment="").geturl(), target, digest)
    return target


def load(model: nn.Module, path: Path) -> Matched:
    """Load what fits into a `Segmenter`; what does not, a head of other classes, stays as it is.

    Raises:
        TrainingError: the file is no state dict, or lacks a tensor of the encoder.
    """
    own = model.state_dict()
    given = {name.removeprefix("module."): value for name, value in _read(path).items()}
    renamed = _renamed(own, given)
    fitting = {name: value for name, value in renamed.items() if own[name].shape == value.shape}
    absent = [name for name in own if name not in renamed]
    reshaped = [name for name in renamed if name not in fitting]
    lacking = [
        name
        for name in (*absent, *reshaped)
        if name.startswith("encoder.") and not name.endswith("num_batches_tracked")
    ]
    if lacking:
        raise TrainingError(
            f"weights file {path.name} lacks {len(lacking)} tensors of the encoder, or has them in "
            f"another shape, first {lacking[0].removeprefix(_OWN)}; use weights of the encoder "
            "that the config names"
        )
    model.load_state_dict(fitting, strict=False)
    unused = len(given) - len(renamed)
    found = Matched(tuple(fitting), tuple(absent), tuple(reshaped), unused)
    _logger.info("weights from %s: %s", path.name, found)
    return found


def _renamed(own: Tensors, given: Tensors) -> dict[str, Tensor]:
    """The file's tensors under the model's names."""
    prefix = next((p for p in _PREFIXES if any(name.startswith(p) for name in given)), "")
    theirs = _below(prefix, given)
    encoder = _below("encoder.", own)
    found = {f"encoder.{name}": value for name, value in _encoder(encoder, theirs).items()}
    if prefix == _OWN:
        found |= {name: given[name] for name in own if name in given and name not in found}
    else:
        decoder = _below("decoder.", own)
        heads = {name: value for name, value in given.items() if name.startswith(_HEADS)}
        if len(heads) == len(decoder):
            pairs = zip(decoder, heads.values(), strict=True)
            found |= {f"decoder.{name}": value for name, value in pairs}
    return found


def _encoder(own: Tensors, given: Tensors) -> dict[str, Tensor]:
    # timm writes `stages_0` where it cuts a network into stages, and `stages.0` in its files.
    plain = {name.replace(".", "_"): value for name, value in given.items()}
    found = {}
    for name, value in own.items():
        key = name.removeprefix("net.").replace(".", "_")
        if key in plain:
            found[name] = _inflated(plain[key], value)
    learned = [name for name in own if not name.endswith(_STATISTICS)]
    if all(name in found for name in learned):
        return found
    return _by_order(own, given) or found


def _by_order(own: Tensors, given: Tensors) -> dict[str, Tensor]:
    """Tensors in their order, if the file begins with the shapes of the model; else none."""
    if not any(name.endswith(_STATISTICS) for name in own):
        given = {name: value for name, value in given.items() if not name.endswith(_STATISTICS)}
    pairs = [
        (name, _inflated(theirs, value))
        for (name, value), theirs in zip(own.items(), given.values(), strict=False)
    ]
    fits = len(pairs) == len(own) and all(own[name].shape == value.shape for name, value in pairs)
    return dict(pairs) if fits else {}


def _inflated(given: Tensor, own: Tensor) -> Tensor:
    """An RGB stem for images of other channels: repeated and rescaled, as timm does it."""
    if given.ndim == 4 and given.shape[1] == _RGB != own.shape[1] and given.ndim == own.ndim:
        inflated: Tensor = adapt_input_conv(own.shape[1], given)
        return inflated if inflated.shape == own.shape else given
    return given


def _below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _fetch(url: str, target: Path, digest: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(target), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise TrainingError(f"weights could not be fetched from {url}: {error}") from error
    _logger.info("fetched weights from %s", url)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise TrainingError(f"weights file {path.name} cannot be read: {error}") from error
    for key in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise TrainingError(f"weights file {path.name} holds no state dict of tensors")
    return loaded
