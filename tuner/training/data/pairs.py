"""Image files with their mask files: found, paired by name, and read. Formats build on this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import Size
from tuner.training import paths
from tuner.training.data import patterns, suggestions
from tuner.training.data.image_files import (
    form,
    has_alpha,
    orientation,
    read_bands,
    read_image,
    read_mask,
)
from tuner.training.data.labels import STRANGE, LabelTable, translate
from tuner.training.data.split import DType, ImageArray, Mask, Split

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample: its image, its mask, and further images whose channels are stacked below."""

    name: str
    image: Path
    mask: Path
    extra: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the sample."""
        return (self.image, self.mask, *self.extra)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a format reads its files; what differs here gives other pixels.

    `labels` gives the labels of a mask file, `facts` is what they depend on beside the file;
    `by_index` is false where a palette's colours count, not its indices.
    """

    labels: Callable[[Path], Mask] = read_mask
    facts: object = ()
    is_stored: bool = False
    value_range: tuple[float, ...] = ()
    by_index: bool = True


def listing(
    base: Path, pattern: str, roots: Sequence[Path], *, suffix: str = ""
) -> dict[str, Path]:
    """Image files in a folder or matching a pattern, by the name that pairs them.

    The name is what the wildcards match, without `suffix` and the type; files that do not end on
    `suffix` do not count, and neither do hidden ones. Raises DataError.
    """
    plain = patterns.clean(pattern)
    if Path(pattern).is_absolute() or ".." in Path(plain).parts:
        raise DataError(f"pattern '{pattern}' leaves the data set's root; name a path below it")
    found = [each for each in patterns.named(base, plain) if each[1].stem.endswith(suffix)]
    if not found:
        ending = f" and ends on '{suffix}'" if suffix else ""
        raise DataUnavailable(
            f"no image file matches '{pattern}'{ending} below {base.name}"
            f"{_others(base, plain)}; name a folder or a pattern below the root"
        )
    outside = [path.name for _, path in found if not paths.is_allowed(path, roots)]
    if outside:
        raise DataError(f"{counted(outside)} below '{pattern}' lead outside the allowed roots")
    return _by_name(found, suffix, pattern)


def matched(
    images: Mapping[str, Path],
    labels: Mapping[str, Path],
    extras: Sequence[Mapping[str, Path]] = (),
    *,
    where: str,
    patterns: Mapping[str, str] = {},  # never mutated
) -> list[Pair]:
    """Every image with the mask and the further images of its name. Raises DataError.

    A mask may have the whole name of its image before its own type: `a.jpg.png`. `patterns` are
    those of the options `images` and `masks`, for what the message proposes.
    """
    labels = _with_types(images, labels)
    for kind, others in (("mask", labels), *((f"extra {i}", e) for i, e in enumerate(extras))):
        lost = sorted(images.keys() - others.keys())
        if lost:
            spare = sorted(others.keys() - images.keys())
            hint = f"; {kind}s without image: {counted(spare)}" if spare else ""
            hint += suggestions.remedy(images, others, patterns) if kind == "mask" else ""
            raise DataError(f"{where}: images without {kind}: {counted(lost)}{hint}")
    return [
        Pair(name, images[name], labels[name], tuple(extra[name] for extra in extras))
        for name in sorted(images)
    ]


def check_fit(image: Path, size: Size, mask: Path, mask_size: Size, *, what: str = "mask") -> None:
    """Raise DataError where an image and its mask, both upright, do not lie on each other.

    The sizes are those of the upright images; `what` is what the second file is.
    """
    turn = orientation(image)
    if size != mask_size:
        remedy = f"; {_turned(image, turn)}" if turn >= 5 and size[::-1] == mask_size else ""
        raise DataError(
            f"{mask.name}: the {what} is {mask_size[0]}×{mask_size[1]}, its image {image.name} "
            f"{size[0]}×{size[1]} (height×width); they must be of one size{remedy}"
        )
    # Where a turn changes the size, a mask of the upright size is upright.
    is_clear = turn >= 5 and size[0] != size[1]
    if turn != 1 and not is_clear and orientation(mask) == 1:
        raise DataError(
            f"{mask.name}: it is not known whether the {what} lies on {image.name} as it is stored "
            f"or as it is shown; {_turned(image, turn)}"
        )


def spare_note(
    images: Mapping[str, Path], labels: Mapping[str, Path], where: str
) -> tuple[str, ...]:
    """What to say of masks that belong to no image, if there are any."""
    spare = sorted(_with_types(images, labels).keys() - images.keys())
    return (f"{where}: masks without image are not used: {counted(spare)}",) if spare else ()


def opened(pairs: Sequence[Pair], reading: Reading = Reading(), notes: Sequence[str] = ()) -> Split:
    """The pairs as a split; channels and dtype are those of the first image. Raises DataError."""
    digest = sha256(repr((reading.facts, reading.is_stored, reading.value_range)).encode())
    for pair in pairs:
        stats = [(str(path), path.stat()) for path in pair.files]
        facts = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        digest.update(repr((pair.name, facts)).encode())
    channels, dtype = _form(pairs[0], is_stored=reading.is_stored)
    return Split(
        names=tuple(pair.name for pair in pairs),
        key=digest.hexdigest(),
        read=partial(_read, pairs, reading),
        channels=channels,
        dtype=dtype,
        files=tuple(pair.files for pair in pairs),
        palettes=tuple(pair.mask for pair in pairs) if reading.by_index else (),
        notes=(*notes, *_alpha_note(pairs[0], reading)),
    )


def translated(table: LabelTable, path: Path) -> Mask:
    """The labels of a mask file, each looked up in the table. Raises DataError."""
    return translate(read_mask(path), table)


def counted(names: Sequence[str]) -> str:
    """The number of names and the first few: `7 (a, b, c, d, e, …)`."""
    more = ", …" if len(names) > _NAMED else ""
    return f"{len(names)} ({', '.join(names[:_NAMED])}{more})"


def strange(mask: Mask, labels: Mask) -> list[int]:
    """Values of a mask whose label is STRANGE."""
    found: list[int] = np.unique(mask[labels == STRANGE]).tolist()
    return found


def _by_name(found: Sequence[tuple[str, Path]], suffix: str, pattern: str) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for whole, path in sorted(found):
        name = whole.removesuffix(suffix)
        if name in named:
            raise DataError(
                f"'{pattern}' has two files called {name}: {named[name].name}, {path.name}; "
                "rename or remove one, or write a pattern that matches one of them, as "
                f"{pattern if patterns.is_wild(pattern) else f'{pattern}/*'}{path.suffix}"
            )
        named[name] = path
    return named


def _with_types(images: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, Path]:
    """The masks by the names of their images, where they are called like the whole image file."""
    found = dict(labels)
    for name, path in images.items():
        whole = f"{name}{path.suffix}"
        if name not in labels and whole in labels:
            found[name] = found.pop(whole)
    return found


def _others(base: Path, pattern: str) -> str:
    """What lies there instead, in words."""
    fixed = pattern.split("*")[0].rpartition("/")[0] if patterns.is_wild(pattern) else pattern
    folder = patterns.existing(base, fixed or ".")
    if folder is None or not folder.is_dir():
        return f" ({fixed or '.'} is not a folder there)"
    kinds = sorted({Path(name).suffix for name in patterns.files_below(folder)} - {""})
    return f" (it holds files of type {', '.join(kinds[:_NAMED])})" if kinds else " (it is empty)"


def _alpha_note(pair: Pair, reading: Reading) -> tuple[str, ...]:
    if reading.is_stored or not has_alpha(pair.image):
        return ()
    return (
        "images have an alpha channel, which is left out; `channels: stored` keeps it, should it "
        "be a band such as infrared",
    )


def _form(pair: Pair, *, is_stored: bool) -> tuple[int, DType]:
    forms: list[tuple[int, DType]] = [form(path) for path in pair.extra]
    forms.append(form(pair.image) if is_stored else (3, "uint8"))
    is_deep = any(dtype == "float32" for _, dtype in forms)
    return sum(channels for channels, _ in forms), "float32" if is_deep else "uint8"


def _read(pairs: Sequence[Pair], reading: Reading, index: int) -> tuple[ImageArray, Mask]:
    pair = pairs[index]
    mask = reading.labels(pair.mask)
    bands = [_image(pair.image, reading)]
    bands += [read_bands(path, reading.value_range) for path in pair.extra]
    for path, band in zip((pair.image, *pair.extra), bands, strict=True):
        check_fit(path, _size(band), pair.mask, _size(mask))
    for path, band in zip(pair.extra, bands[1:], strict=True):
        check_fit(pair.image, _size(bands[0]), path, _size(band), what="further image")
    # Bytes beside float32 become float32.
    stacked: Any = bands[0] if len(bands) == 1 else np.concatenate(bands, axis=2)
    return stacked, mask


def _size(pixels: NDArray[Any]) -> Size:
    return pixels.shape[0], pixels.shape[1]


def _image(path: Path, reading: Reading) -> ImageArray:
    return read_bands(path, reading.value_range) if reading.is_stored else read_image(path)


def _turned(path: Path, orientation: int) -> str:
    return (
        f"{path.name} is turned by its EXIF tag (orientation {orientation}): turn its pixels for "
        "good (`exiftran -a`, `mogrify -auto-orient`) where the other is upright, or remove the "
        "tag (`exiftool -Orientation= `) where the other is as stored"
    )
