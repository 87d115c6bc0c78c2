"""Networks as training leaves them (`model.pt`): their weights beside their config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tuner.atomic import replacing
from tuner.errors import InvalidInput, Malformed, SegtuneError, TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.documents import parse_json
from tuner.spec.stored import read_config
from tuner.training import saving
from tuner.training.network import model
from tuner.training.network.model import SegmentationModel
from tuner.training.network.pruned import check_facts, shrink
from tuner.training.network.weight_files import digest_of, load_file_of_tensors
from tuner.training.network.weights import norm_eps, set_norm_eps

_KEYS = ("config", "model")


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a `model.pt` holds: the network, which does not learn, its config, the file's sha256."""

    network: SegmentationModel
    config: TrialConfig
    sha256: str


def read_model(path: Path) -> ModelFile:
    """Build the network of a `model.pt` in evaluation mode on the CPU; it needs no other file.

    Raises:
        WeightsUnavailable: the file cannot be read on this machine.
        TrainingError: it is damaged, is not one of ours, or its tensors are not its config's.
    """
    body = load_file_of_tensors(path)
    if not isinstance(body, Mapping) or any(key not in body for key in _KEYS):
        raise TrainingError(
            f"{path.name} is not a model of segtune: it has no config beside its weights; name the "
            "model.pt of a trial or of `segtune train`"
        )
    config = _config(body["config"], path)
    network = _built(config, body, path).eval().requires_grad_(False)
    return ModelFile(network, config, digest_of(path))


def write_model(path: Path, network: SegmentationModel, config: TrialConfig) -> None:
    """Write a network beside its config, as training leaves it; whole or not at all.

    Raises:
        OSError: the disk is full, or the path cannot be written.
    """
    body = {
        "config": config.model_dump_json(),
        "model": network.state_dict(),
        "norm_eps": norm_eps(network),
    }
    if network.pruning:
        body["pruning"] = dict(network.pruning)
    with replacing(path) as draft:
        saving.write(body, draft)


def _config(stored: object, path: Path) -> TrialConfig:
    """The config beside the weights. Raises TrainingError, Unreadable."""
    try:
        document = parse_json(str(stored).encode())
    except (Malformed, InvalidInput, UnicodeError) as error:
        raise TrainingError(
            f"the config in {path.name} is not JSON that can be read: {error}; the file was "
            "changed or is damaged: copy or fetch it again"
        ) from error
    return read_config(document, f"the config in {path.name}")


def _built(config: TrialConfig, body: Mapping[str, Any], path: Path) -> SegmentationModel:
    """The network of a config with the tensors of the file, every one of them."""
    tensors = body["model"]
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(each, Tensor) for name, each in tensors.items()
    ):
        raise TrainingError(
            f"{path.name} is not a model of segtune: 'model' in it holds no tensors by name; name "
            "the model.pt of a trial or of `segtune train`"
        )
    pruning = body.get("pruning")
    if pruning is not None:
        check_facts(pruning, path)
    try:
        return _filled(config, tensors, pruning, body.get("norm_eps"))
    except SegtuneError:
        raise
    except Exception as error:  # tensors that do not fit raise what torch's layers raise
        said = (str(error) or type(error).__name__).splitlines()
        first = (said[1:2] or said)[0].strip()[:300]
        raise TrainingError(
            f"{path.name} does not hold the network of its config: {first}; "
            "it is of another release, or was changed"
        ) from error


def _filled(
    config: TrialConfig,
    tensors: Mapping[str, Tensor],
    pruning: Mapping[str, Any] | None,
    eps: object,
) -> SegmentationModel:
    """A network of the config with these tensors."""
    channels = tensors["mean"].numel() if "mean" in tensors else 3
    # Whatever weights it began with, those in the file replace them all.
    bare = config.model_copy(update={"model": config.model.model_copy(update={"weights": "none"})})
    network = model.build(bare, mean=(0.0,) * channels, std=(1.0,) * channels)
    if pruning is not None:
        shrink(network, tensors, pruning)
    network.load_state_dict(dict(tensors))
    if isinstance(eps, float):
        set_norm_eps(network, eps)
    return network
