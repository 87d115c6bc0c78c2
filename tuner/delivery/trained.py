"""Models as training leaves them (`model.pt`): opened with the config that they were trained by."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tuner.errors import DataUnavailable
from tuner.spec.config import DatasetConfig, Size, TrialConfig
from tuner.training.network.model import SegmentationModel
from tuner.training.network.model_files import read_model


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
        return self.network.channels

    @property
    def size(self) -> Size:
        """Height and width that it was trained at."""
        return self.config.dataset.size

    @property
    def align_corners(self) -> bool:
        """How its logits are resized."""
        return self.network.align_corners

    @property
    def dataset(self) -> DatasetConfig:
        """What it was trained on."""
        return self.config.dataset

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
    opened = read_model(path)
    network = opened.network.to(device)
    return TrainedModel(network, opened.config, name or path.name, opened.sha256, device)
