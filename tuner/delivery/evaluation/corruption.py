"""Images made worse at five strengths, after Hendrycks and Dietterich 2019 (ImageNet-C).

`noise`, `brightness`, `contrast` and `jpeg` take their severities. `blur` takes theirs for images
of 224 pixels, and scales them to the shorter side. `resolution` shrinks an image by the factors of
their `pixelate` and enlarges it again, bilinear where they repeat pixels, as a camera further away
would. All act on the image that inference begins with: in training's size where that is `whole`.
Brightness raises HSV's value, which is the largest channel, so that images of any number of
channels have it. Every noise is a counted draw of the image's name: the same on every machine.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from tuner.training import draws
from tuner.training.data.split import ImageArray

Reals = NDArray[np.float32]
STRENGTHS = (1, 2, 3, 4, 5)
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # deviation, of 255
_BLUR = (1, 2, 3, 4, 6)  # deviation in pixels, of a side of 224
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to HSV's value, of 255
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # share of the distance from the mean that is left
_JPEG = (25, 18, 15, 10, 7)  # quality
_RESOLUTION = (0.6, 0.5, 0.4, 0.3, 0.25)  # share of the sides
_SIDE = 224
_RGB = 3


def corrupted(image: ImageArray, kind: str, strength: int, name: str) -> ImageArray:
    """An image of height × width × channels in 0 … 255, made worse; its type stays.

    Values outside of that range, which deeper images may have, stay outside as far as they were.
    """
    pixels = image.astype(np.float32)
    low, high = min(0.0, float(pixels.min())), max(255.0, float(pixels.max()))
    worse = np.clip(KINDS[kind](pixels, strength - 1, name), low, high)
    if image.dtype == np.uint8:
        return np.rint(worse).astype(np.uint8)
    return worse.astype(np.float32)


def _noise(pixels: Reals, place: int, name: str) -> Reals:
    grain = np.float32(255 * _NOISE[place]) * _normals(name, pixels.size)
    noisy: Reals = pixels + grain.reshape(pixels.shape)
    return noisy


def _normals(name: str, count: int) -> Reals:
    """Standard normal numbers by Box and Muller; the same field at every strength."""
    places = np.arange((count + 1) // 2, dtype=np.int64)
    first, second = draws.uniforms("robustness", "noise", name, indices=places, count=2).T
    radius = np.sqrt(-2 * np.log1p(-first))
    angle = 2 * np.pi * second
    pairs = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    found: Reals = pairs.reshape(-1)[:count].astype(np.float32)
    return found


def _blur(pixels: Reals, place: int, name: str) -> Reals:
    sigma = _BLUR[place] * min(pixels.shape[:2]) / _SIDE
    reach = max(1, int(4 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    bands = torch.from_numpy(pixels).permute(2, 0, 1)[:, None]  # channels as a batch
    for shape, pad in (((1, -1), (reach, reach, 0, 0)), ((-1, 1), (0, 0, reach, reach))):
        padded = functional.pad(bands, pad, mode="replicate")
        bands = functional.conv2d(padded, kernel.view(1, 1, *shape))
    return _pixels(bands[:, 0])


def _brightness(pixels: Reals, place: int, name: str) -> Reals:
    value = pixels.max(axis=2, keepdims=True)
    raised = value + 255 * _BRIGHTNESS[place]
    top = np.maximum(np.float32(255), value)
    share = np.minimum(raised, top) / np.where(value > 0, value, 1)
    found: Reals = np.where(value > 0, pixels * share, raised).astype(np.float32)
    return found


def _contrast(pixels: Reals, place: int, name: str) -> Reals:
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return np.asarray((pixels - mean) * np.float32(_CONTRAST[place]) + mean, dtype=np.float32)


def _jpeg(pixels: Reals, place: int, name: str) -> Reals:
    """Colours as colours; of other images each channel as a grey image."""
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if whole.shape[2] == _RGB:
        return _recompressed(whole, _JPEG[place]).astype(np.float32)
    bands = [_recompressed(band, _JPEG[place]) for band in np.moveaxis(whole, 2, 0)]
    return np.stack(bands, axis=2).astype(np.float32)


def _recompressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image)


def _resolution(pixels: Reals, place: int, name: str) -> Reals:
    height, width = pixels.shape[:2]
    small = [max(1, round(side * _RESOLUTION[place])) for side in (height, width)]
    bands = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    for size, smooth in ((small, True), ((height, width), False)):
        bands = functional.interpolate(
            bands, tuple(size), mode="bilinear", align_corners=False, antialias=smooth
        )
    return _pixels(bands[0])


def _pixels(bands: torch.Tensor) -> Reals:
    found: Reals = bands.permute(1, 2, 0).numpy()
    return found


KINDS: Mapping[str, Callable[[Reals, int, str], Reals]] = {
    "noise": _noise,
    "blur": _blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "jpeg": _jpeg,
    "resolution": _resolution,
}
