"""Models as training leaves them (`model.pt`): opened with the config that they were trained by."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tuner.errors import DataUnavailable, TrainingError
from tuner.spec.config import Size, TrialConfig
from tuner.spec.documents import parse_json
from tuner.spec.stored import read_config
from tuner.training.network import model
from tuner.training.network.model import SegmentationModel
from tuner.training.network.weight_files import load_file_of_tensors
from tuner.training.network.weights import set_norm_eps

_KEYS = ("config", "model")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with its weights, in evaluation mode on `device`; a `Predictor`."""

    network: SegmentationModel
    config: TrialConfig
    name: str
    sha256: str
    device: str = "cpu"

    @property
    def classes(self) -> tuple[str, ...]:
        """Its outputs in order."""
        return self.config.dataset.classes

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return int(self.network.mean.shape[1])

    @property
    def size(self) -> Size:
        """Height and width that it was trained at."""
        return self.config.dataset.size

    @property
    def align_corners(self) -> bool:
        """How its logits are resized."""
        return self.network.align_corners

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits N×K×h×w at the decoder's stride, of images N×C×H×W in 0 … 255."""
        logits, _ = self.network.coarse(images.to(self.device))
        return logits.float()


def open_model(path: Path, *, device: str = "cpu", name: str = "") -> TrainedModel:
    """Open a `model.pt`; it needs neither the data set nor the network's first weights.

    Raises:
        DataUnavailable: there is no such file, or it cannot be read.
        TrainingError: the file is damaged, is not one of ours, or its tensors are not those of
            its config.
    """
    if not path.is_file():
        raise DataUnavailable(f"there is no model file {path}; name a model.pt that exists")
    body = load_file_of_tensors(path)
    if not isinstance(body, Mapping) or any(key not in body for key in _KEYS):
        raise TrainingError(
            f"{path.name} is not a model of segtune: it has no config beside its weights; name the "
            "model.pt of a trial or of `segtune train`"
        )
    config = read_config(parse_json(str(body["config"]).encode()), f"the config in {path.name}")
    network = _built(config, body, path).to(device).eval().requires_grad_(False)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return TrainedModel(network, config, name or path.name, digest, device)


def _built(config: TrialConfig, body: Mapping[str, Any], path: Path) -> SegmentationModel:
    """The network of a config with the tensors of the file, every one of them."""
    tensors: Mapping[str, Tensor] = body["model"]
    channels = tensors["mean"].numel() if "mean" in tensors else 3
    # Whatever weights it began with, those in the file replace them all.
    bare = config.model_copy(update={"model": config.model.model_copy(update={"weights": "none"})})
    network = model.build(bare, mean=(0.0,) * channels, std=(1.0,) * channels)
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise TrainingError(
            f"{path.name} does not hold the network of its config: {first[0].strip()[:300]}; "
            "it is of another release, or was changed"
        ) from error
    if isinstance(eps := body.get("norm_eps"), float):
        set_norm_eps(network, eps)
    return network
