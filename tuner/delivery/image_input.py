"""One image file as a model was trained to see it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tuner.delivery.predictor import Predictor
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import Size
from tuner.training.data.cache import fit
from tuner.training.data.image_files import read_bands, read_image
from tuner.training.data.split import ImageArray
from tuner.training.preview.sheet import Pixels, visible
from tuner.wording import quantity

_RGB = 3


@dataclass(frozen=True, eq=False)
class ImageInput:
    """An image as a network takes it, 1×C×H×W in 0 … 255, as people see it, and its own size."""

    given: Tensor
    shown: Pixels
    size: Size


def read_input(path: Path, model: Predictor) -> ImageInput:
    """An image file in the channels and size of a model's data set.

    Raises:
        DataUnavailable: there is no such file, or it cannot be read.
        DataError: it is not an image, or has another number of channels.
    """
    if not path.is_file():
        raise DataUnavailable(f"there is no image file {path}")
    try:
        pixels = read_pixels(path, model)
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read: {error.strerror or error}") from error
    fitted = fit(pixels, model.size, Image.Resampling.BILINEAR)
    return ImageInput(as_batch(fitted), visible(fitted), (pixels.shape[0], pixels.shape[1]))


def read_pixels(path: Path, model: Predictor) -> ImageArray:
    """An image file at its own size, read as the model's data set reads its own.

    Raises:
        DataError: it is not an image, or has another number of channels.
        OSError: it cannot be read.
    """
    options = model.dataset.options if model.dataset is not None else {}
    is_stored = options.get("channels") == "stored" or model.channels != _RGB
    pixels = read_bands(path, options.get("value_range") or ()) if is_stored else read_image(path)
    check_channels(path, pixels, model)
    return pixels


def check_channels(path: Path, pixels: ImageArray, model: Predictor) -> None:
    """Raise DataError where an image has not the channels of the model's."""
    if pixels.shape[2] != model.channels:
        raise DataError(
            f"{path.name} has {quantity(pixels.shape[2], 'channel')}, and {model.name} was "
            f"trained on {model.channels}; give it images of the same kind as its data set's"
        )


def as_batch(pixels: ImageArray) -> Tensor:
    """An image H×W×C as 1×C×H×W of float32."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
