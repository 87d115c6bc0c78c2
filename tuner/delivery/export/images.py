"""Real images to compare an exported model with eager on."""

from pathlib import Path

import torch
from torch import Tensor

from tuner.errors import DataError
from tuner.spec.config import TrialConfig
from tuner.training.data.load import load
from tuner.wording import quantity

_IMAGES = 4


def validation_images(
    config: TrialConfig, cache: Path, roots: tuple[Path, ...]
) -> tuple[Tensor | None, str]:
    """Some images N×C×H×W at the trained size, and what they are; none where none are here."""
    try:
        data = load(config.dataset, cache=cache, roots=roots)
    except (DataError, OSError) as error:
        return None, f"noise, because the data set cannot be opened here ({error})"
    images = torch.from_numpy(data.val.images[:_IMAGES].copy()).permute(0, 3, 1, 2).float()
    return images, quantity(len(images), "validation image")
