"""Image files with their mask files: found, paired by name, and read. Formats build on this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError
from tuner.training import paths
from tuner.training.labels import STRANGE, Table, translate
from tuner.training.pictures import SUFFIXES, form, read_bands, read_mask, read_picture
from tuner.training.split import Depth, Mask, Picture, Split

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

    `labels` gives the labels of a mask file, `facts` is what they depend on beside the file.
    """

    labels: Callable[[Path], Mask] = read_mask
    facts: object = ()
    is_stored: bool = False
    value_range: tuple[float, ...] = ()


def listing(
    base: Path, pattern: str, roots: Sequence[Path], *, suffix: str = ""
) -> dict[str, Path]:
    """Image files in a folder or matching a pattern, by the name that pairs them.

    The name is the path in the folder, or the stem of a match, without its type and `suffix`;
    files that do not end on `suffix` do not count. Raises DataError.
    """
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"pattern '{pattern}' leaves the data set's root; name a path below it")
    folder = base / pattern
    is_folder = folder.is_dir()
    found = folder.rglob("*") if is_folder else base.glob(pattern)
    files = [path for path in found if path.suffix.lower() in SUFFIXES]
    files = [path for path in files if path.stem.endswith(suffix)]
    if not files:
        ending = f" and ends on '{suffix}'" if suffix else ""
        raise DataError(f"no image file matches '{pattern}'{ending} below {base.name}")
    outside = [path.name for path in files if not paths.is_allowed(path, roots)]
    if outside:
        raise DataError(f"{counted(outside)} below '{pattern}' lead outside the allowed roots")
    return _by_name(files, folder if is_folder else None, suffix, pattern)


def matched(
    pictures: Mapping[str, Path],
    labels: Mapping[str, Path],
    extras: Sequence[Mapping[str, Path]] = (),
    *,
    where: str,
) -> list[Pair]:
    """Every image with the mask and the further images of its name. Raises DataError."""
    for kind, others in (("mask", labels), *((f"extra {i}", e) for i, e in enumerate(extras))):
        lost = sorted(pictures.keys() - others.keys())
        if lost:
            spare = sorted(others.keys() - pictures.keys())
            hint = f"; {kind}s without image: {counted(spare)}" if spare else ""
            raise DataError(f"{where}: images without {kind}: {counted(lost)}{hint}")
    return [
        Pair(name, pictures[name], labels[name], tuple(extra[name] for extra in extras))
        for name in sorted(pictures)
    ]


def opened(pairs: Sequence[Pair], reading: Reading = Reading()) -> Split:
    """The pairs as a split; channels and depth are those of the first image. Raises DataError."""
    digest = sha256(repr((reading.facts, reading.is_stored, reading.value_range)).encode())
    for pair in pairs:
        stats = [(str(path), path.stat()) for path in pair.files]
        facts = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        digest.update(repr((pair.name, facts)).encode())
    channels, depth = _form(pairs[0], is_stored=reading.is_stored)
    names = tuple(pair.name for pair in pairs)
    return Split(names, digest.hexdigest(), partial(_read, pairs, reading), channels, depth)


def translated(table: Table, path: Path) -> Mask:
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


def _by_name(
    files: Sequence[Path], folder: Path | None, suffix: str, pattern: str
) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(files):
        whole = path.relative_to(folder) if folder else Path(path.name)
        name = whole.with_suffix("").as_posix().removesuffix(suffix)
        if name in found:
            raise DataError(
                f"'{pattern}' has two files called {name}: {found[name].name}, {path.name}"
            )
        found[name] = path
    return found


def _form(pair: Pair, *, is_stored: bool) -> tuple[int, Depth]:
    forms: list[tuple[int, Depth]] = [form(path) for path in pair.extra]
    forms.append(form(pair.image) if is_stored else (3, "uint8"))
    is_deep = any(depth == "float32" for _, depth in forms)
    return sum(channels for channels, _ in forms), "float32" if is_deep else "uint8"


def _read(pairs: Sequence[Pair], reading: Reading, index: int) -> tuple[Picture, Mask]:
    pair = pairs[index]
    mask = reading.labels(pair.mask)
    bands = [_image(pair.image, reading)]
    bands += [read_bands(path, reading.value_range) for path in pair.extra]
    for path, band in zip((pair.image, *pair.extra), bands, strict=True):
        _check_size(path, band, pair.mask, mask)
    # Bytes beside float32 become float32.
    stacked: Any = bands[0] if len(bands) == 1 else np.concatenate(bands, axis=2)
    return stacked, mask


def _image(path: Path, reading: Reading) -> Picture:
    return read_bands(path, reading.value_range) if reading.is_stored else read_picture(path)


def _check_size(path: Path, band: NDArray[np.generic], mask_path: Path, mask: Mask) -> None:
    if band.shape[:2] != mask.shape:
        raise DataError(
            f"{mask_path.name}: the mask is {mask.shape[0]}×{mask.shape[1]}, its image "
            f"{path.name} {band.shape[0]}×{band.shape[1]} (height×width); they must be of one size"
        )
