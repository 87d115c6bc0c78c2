"""Images and masks in folders, paired by name.

`images` and `masks` are folders or patterns below `root`, with `{split}` for train and val. In a
folder an image and its mask have the same path apart from the suffix; files that match a pattern
have the same stem. `values` lists what the masks hold for each class, in order, where that is not
0, 1, 2, …: `values: [0, 255]` reads black-and-white masks. With `holdout` there is no separate
validation folder: that share of the training files, chosen by their names, validates.
"""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.pictures import SUFFIXES, read_mask, read_picture
from tuner.training.split import Mask, Picture, Split

_NAMED = 5


def open_split(  # options, all with defaults
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    images: str = "images/{split}",
    masks: str = "labels/{split}",
    train: str = "train",
    val: str = "val",
    values: list[Annotated[int, Field(ge=0, le=65535)]] = [],  # noqa: B006  # never mutated
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> Split:
    """The `train` or `val` files. Raises DataError when files are missing or do not pair."""
    if values and len(values) != len(dataset.classes):
        raise DataError(f"values names {len(values)} labels for {len(dataset.classes)} classes")
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = train if split == "train" or holdout else val
    pictures = _listing(base, images.replace("{split}", folder), roots)
    labels = _listing(base, masks.replace("{split}", folder), roots)
    names = _pairs(pictures, labels, where=f"{base.name}/{folder}")
    if holdout:
        names = [name for name in names if _is_held_out(name, holdout) == (split == "val")]
    if not names:
        raise DataError(f"the {split} split of {base.name} is empty with holdout {holdout:g}")
    pairs = [(pictures[name], labels[name]) for name in names]
    lookup = _lookup(values, dataset.ignore_index) if values else None
    return Split(tuple(names), _key(names, pairs, values), partial(_read, pairs, lookup))


def _listing(base: Path, pattern: str, roots: Sequence[Path]) -> dict[str, Path]:
    """Files by the name that pairs them. Raises DataError."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"pattern '{pattern}' leaves the data set's root; name a path below it")
    folder = base / pattern
    if folder.is_dir():
        files = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
        named = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in files]
    else:
        files = [path for path in base.glob(pattern) if path.suffix.lower() in SUFFIXES]
        named = [(path.stem, path) for path in files]
    if not named:
        raise DataError(f"no image file matches '{pattern}' below {base.name}")
    outside = [path.name for path in files if not paths.is_allowed(path, roots)]
    if outside:
        raise DataError(f"{_count(outside)} below '{pattern}' lead outside the allowed roots")
    found: dict[str, Path] = {}
    for name, path in sorted(named):
        if name in found:
            raise DataError(
                f"'{pattern}' has two files called {name}: {found[name].name}, {path.name}"
            )
        found[name] = path
    return found


def _pairs(pictures: dict[str, Path], labels: dict[str, Path], *, where: str) -> list[str]:
    unlabelled = sorted(pictures.keys() - labels.keys())
    if unlabelled:
        spare = sorted(labels.keys() - pictures.keys())
        hint = f"; masks without image: {_count(spare)}" if spare else ""
        raise DataError(f"{where}: images without mask: {_count(unlabelled)}{hint}")
    return sorted(pictures)


def _count(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return f"{len(names)} ({', '.join(names[:_NAMED])}{more})"


def _is_held_out(name: str, share: float) -> bool:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") < share * 2**64


def _key(names: Sequence[str], pairs: Sequence[tuple[Path, Path]], values: Sequence[int]) -> str:
    digest = sha256(repr(tuple(values)).encode())
    for name, pair in zip(names, pairs, strict=True):
        stats = [path.stat() for path in pair]
        facts = [(str(path), s.st_size, s.st_mtime_ns) for path, s in zip(pair, stats, strict=True)]
        digest.update(repr((name, facts)).encode())
    return digest.hexdigest()


def _lookup(values: Sequence[int], ignore_index: int) -> NDArray[np.int32]:
    """Class by mask value; a value that is not listed is a label that no class has."""
    table = np.full(65536, -1, dtype=np.int32)
    table[ignore_index] = ignore_index
    table[list(values)] = np.arange(len(values))
    return table


def _read(
    pairs: Sequence[tuple[Path, Path]], lookup: NDArray[np.int32] | None, index: int
) -> tuple[Picture, Mask]:
    picture, mask = read_picture(pairs[index][0]), read_mask(pairs[index][1])
    if picture.shape[:2] != mask.shape:
        high, wide = picture.shape[:2]
        raise DataError(
            f"{pairs[index][1].name}: the mask is {mask.shape[0]}×{mask.shape[1]}, its image "
            f"{high}×{wide} (height×width); they must be of one size"
        )
    if lookup is None:
        return picture, mask
    mapped = lookup[mask.clip(0, len(lookup) - 1)]
    strange = np.unique(mask[mapped < 0])
    if strange.size:
        listed = np.flatnonzero(lookup >= 0).tolist()
        raise DataError(
            f"{pairs[index][1].name}: mask values {strange.tolist()}; known are {listed}"
        )
    return picture, mapped
