"""Images that are not 8-bit RGB: which of their channels and which range training must read."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.errors import DataError
from tuner.training.data import image_files
from tuner.wording import quantity

_READ = 40
_WHITE = 255.0
_DEFAULT = (0, 65535)


@dataclass(frozen=True, slots=True)
class Bands:
    """Options of the folder format for the images' channels, and why."""

    is_stored: bool = False
    value_range: tuple[int, ...] = ()
    note: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What the data set says; nothing for images of 8 bits."""
        found: dict[str, Any] = {"channels": "stored"} if self.is_stored else {}
        return {**found, "value_range": list(self.value_range)} if self.value_range else found


def find_bands(images: Sequence[Path]) -> Bands:
    """Whether most images need `channels: stored`, and the range of their values."""
    step = max(1, len(images) // _READ)
    sample = images[::step][:_READ]
    forms: Counter[tuple[int, str]] = Counter()
    for image in sample:
        try:
            image_files.check_image(image)
        except (DataError, OSError):
            form = _form(image)
            if form:
                forms[form] += 1
    if not forms or 2 * sum(forms.values()) <= len(sample):
        return Bands()
    (channels, dtype), _ = forms.most_common(1)[0]
    bits = "8" if dtype == "uint8" else "more than 8"
    why = f"images have {quantity(channels, 'channel')} of {bits} bits"
    if dtype == "uint8":
        return Bands(is_stored=True, note=f"{why}; `channels: stored` trains on all of them")
    limits = _range(sample)
    shown = f" and {limits[0]} to {limits[1]} become 0 to 255" if limits else ""
    note = f"{why}; `channels: stored` keeps them{shown}"
    return Bands(is_stored=True, value_range=limits, note=note)


def _form(path: Path) -> tuple[int, str] | None:
    try:
        return image_files.form(path)
    except (DataError, OSError):
        return None


def _range(images: Sequence[Path]) -> tuple[int, ...]:
    """A range of whole bits that holds the sample's values; none where the default does."""
    lows, highs = [], []
    for image in images:
        try:
            # Read on the scale on which a value is 255 times itself.
            pixels = image_files.read_bands(image, (0.0, 1.0)) / _WHITE
        except (DataError, OSError):
            continue
        lows.append(float(pixels.min()))
        highs.append(float(pixels.max()))
    if not lows or (min(lows) >= 0 and max(highs) <= 1):
        return ()
    bottom, top = -_bits(-min(lows)), _bits(max(highs))
    return () if (bottom, top) == _DEFAULT else (bottom, max(top, bottom + 1))


def _bits(value: float) -> int:
    """The highest number of so many bits that is not below the value."""
    return max(0, (1 << math.ceil(math.log2(value + 1))) - 1) if value > 0 else 0
