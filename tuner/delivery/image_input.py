"""One image file as a model was trained to see it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import Size, TrialConfig
from tuner.training.data.cache import fit
from tuner.training.data.image_files import read_bands, read_image
from tuner.wording import quantity


@dataclass(frozen=True, eq=False)
class ImageInput:
    """An image as a network takes it, 1×C×H×W in 0 … 255, as people see it, and its own size."""

    given: Tensor
    shown: NDArray[np.uint8]
    size: Size


def read_input(path: Path, config: TrialConfig, channels: int) -> ImageInput:
    """An image file in the channels and size of a config's data set.

    Raises:
        DataUnavailable: there is no such file, or it cannot be read.
        DataError: it is not an image, or has another number of channels.
    """
    if not path.is_file():
        raise DataUnavailable(f"there is no image file {path}")
    options = config.dataset.options
    is_stored = options.get("channels") == "stored" or channels != 3
    try:
        pixels = (
            read_bands(path, options.get("value_range") or ()) if is_stored else read_image(path)
        )
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read: {error.strerror or error}") from error
    if pixels.shape[2] != channels:
        raise DataError(
            f"{path.name}: the image has {quantity(pixels.shape[2], 'channel')}, the model was "
            f"trained on {channels}; give an image like those of its data set"
        )
    fitted = fit(pixels, config.dataset.size, Image.Resampling.BILINEAR)
    given = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float()
    return ImageInput(given, _visible(fitted), (pixels.shape[0], pixels.shape[1]))


def _visible(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The first three channels, or the first as grey."""
    bands = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    shown: NDArray[np.uint8] = np.clip(np.rint(bands.astype(np.float32)), 0, 255).astype(np.uint8)
    return shown
