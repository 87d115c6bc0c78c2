"""Divides a data set of any format: as its files are, by a share held out, or into k folds.

Everything is a counted draw over names, so that two machines divide alike, and a smaller subset
lies within every larger one. No image is on both sides of a division that is made here.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from tuner.errors import DataError
from tuner.spec import shares
from tuner.spec.config import DatasetConfig
from tuner.training import draws
from tuner.training.data.split import ImageArray, Mask, Split
from tuner.wording import quantity

_NAMED = 5
_PARTS = ("train", "val")


def divided(dataset: DatasetConfig, opened: Callable[[str], Split]) -> tuple[Split, Split]:
    """Training and validation split as `fold`, `holdout` and `subset` say.

    `opened` gives the format's own `train` and `val` part; the latter is not asked for where a
    share of the former is held out. Raises DataError.
    """
    group = dataset.group
    if dataset.fold is not None:
        other = None if dataset.holdout else opened("val")
        train, val = folded(opened("train"), other, dataset.fold, group)
    elif dataset.holdout:
        train, val = held_out(opened("train"), dataset.holdout, group)
    else:
        train, val = opened("train"), opened("val")
        _refuse_one_for_both(train, val)
    return subset(_trainable(train), dataset.subset), val


def groups(names: Sequence[str], pattern: str | None) -> tuple[str, ...]:
    """What must stay together, for each name: the pattern's first group, or the name itself.

    Raises:
        DataError: the pattern is not a regex with a group, or some names do not match it.
    """
    if pattern is None:
        return tuple(names)
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise DataError(f"dataset.group '{pattern}' is not a regular expression: {error}") from None
    if not regex.groups:
        raise DataError(f"dataset.group '{pattern}' has no group; put brackets around one part")
    found = [regex.search(name) for name in names]
    lost = [name for name, match in zip(names, found, strict=True) if not match or not match[1]]
    if lost:
        more = ", …" if len(lost) > _NAMED else ""
        raise DataError(
            f"dataset.group '{pattern}' does not match {len(lost)} of {len(names)} names "
            f"({', '.join(lost[:_NAMED])}{more})"
        )
    return tuple(match[1] for match in found if match)


def held_out(pool: Split, share: float, group: str | None) -> tuple[Split, Split]:
    """The pool less a share of its images, and that share: round(share · n), at least one each.

    Names are ranked by a hash of theirs, so that files which are added move few of the others.
    Groups stay whole: of all their choices that come as near to the share as can be, the first in
    order of rank. Raises DataError.
    """
    owners = groups(pool.names, group)
    sizes = Counter(owners)
    if len(sizes) < 2:
        what = quantity(len(pool), "image") + (f" in one group by '{group}'" if group else "")
        raise DataError(
            f"dataset.holdout is {share:g}, but {what} cannot be divided into training and "
            "validation; two or more are needed"
        )
    order = _ranked(owners)
    count = min(max(shares.nearest(share, len(pool)), 1), len(pool) - 1)
    held = {order[place] for place in _nearest([sizes[owner] for owner in order], count)}
    return _parted(pool, [owner in held for owner in owners], f"holdout {share} by {group}")


def folded(
    train: Split, val: Split | None, fold: tuple[int, int], group: str | None
) -> tuple[Split, Split]:
    """Pool both parts, or take the one; fold k of n validates and the others train.

    Groups are ordered by a hash of their names and dealt out in turn, so that the folds differ by
    one group at most. An image that both parts hold counts once. Raises DataError.
    """
    part, count = fold
    pool, names = _pooled([train] if val is None else [train, val])
    # Both parts may have an image of one name; only a pattern makes them one group.
    owners = groups(names, group) if group else pool.names
    order = _ranked(owners)
    if part >= count or len(order) < count:
        raise DataError(
            f"dataset.fold is [{part}, {count}]; the fold is 0 to {count - 1}, and "
            f"{quantity(len(order), 'group')} of images can give {len(order)} at most"
        )
    held = {owner for place, owner in enumerate(order) if place % count == part}
    return _parted(pool, [owner in held for owner in owners], f"fold {part} of {count} by {group}")


def subset(split: Split, share: float) -> Split:
    """A share of the images, at least one, in their old order."""
    if share >= 1:
        return split
    count = max(1, shares.nearest(share, len(split)))
    order = draws.permutation("subset", length=len(split))
    return selected(split, sorted(order[:count].tolist()), f"subset {count} of {len(split)}")


def selected(split: Split, positions: Sequence[int], note: str) -> Split:
    """The images at these positions; `note` tells them apart from other selections."""

    def read(index: int) -> tuple[ImageArray, Mask]:
        return split.read(positions[index])

    return replace(
        split,
        names=tuple(split.names[position] for position in positions),
        key=f"{split.key}/{note}",
        read=read,
        files=tuple(split.files[position] for position in positions) if split.files else (),
        untrained=frozenset(
            place for place, position in enumerate(positions) if position in split.untrained
        ),
    )


def _ranked(owners: Sequence[str]) -> list[str]:
    return sorted(set(owners), key=lambda owner: sha256(owner.encode()).digest())


def _nearest(sizes: Sequence[int], count: int) -> list[int]:
    """Which of two or more sizes to take, and not all, for a sum as near to `count` as can be.

    Of several choices the first in order is given: each size is taken if the rest can follow.
    """
    kept = (1 << count + max(sizes) + 1) - 1  # what lies above is further away than any one size
    reach = [1]  # bit s of the last entry: whether the sizes so far, from the end on, can give s
    for size in reversed(sizes):
        reach.append((reach[-1] | reach[-1] << size) & kept)
    most = min(sum(sizes) - 1, kept.bit_length() - 1)
    wanted = min(
        (total for total in range(1, most + 1) if reach[-1] >> total & 1),
        key=lambda total: abs(total - count),
    )
    taken = []
    for place, size in enumerate(sizes):
        rest = reach[len(sizes) - 1 - place]
        if size <= wanted and rest >> (wanted - size) & 1:
            taken.append(place)
            wanted -= size
    return taken


def _parted(pool: Split, is_held: Sequence[bool], note: str) -> tuple[Split, Split]:
    chosen = np.array(is_held)
    return (
        selected(pool, np.flatnonzero(~chosen).tolist(), note),
        selected(pool, np.flatnonzero(chosen).tolist(), f"{note}, held out"),
    )


def _trainable(split: Split) -> Split:
    """The split without what may only validate. Raises DataError where nothing is left."""
    if not split.untrained:
        return split
    kept = [place for place in range(len(split)) if place not in split.untrained]
    if not kept:
        raise DataError(
            f"none of {quantity(len(split), 'training image')} may be trained on: each is too "
            "small for `min_area`; lower or remove it"
        )
    return selected(split, kept, f"{len(kept)} to train on")


def _refuse_one_for_both(train: Split, val: Split) -> None:
    known = {files[0] for files in train.files}
    if known and all(files[0] in known for files in val.files):
        raise DataError(
            f"validation has nothing but training images ({quantity(len(val), 'image')}), such as "
            f"{val.files[0][0].name}; name other files for validation ({{split}} in a pattern is "
            "`train` or `val`), or write `holdout: 0.2` or `fold: [0, 5]` in the data set"
        )


def _pooled(parts: Sequence[Split]) -> tuple[Split, tuple[str, ...]]:
    """All parts as one, each image once, and the names that the images have in their parts."""
    train, val = parts[0], parts[-1]
    if train.channels != val.channels:
        raise DataError(
            f"training images have {quantity(train.channels, 'channel')}, "
            f"validation images {val.channels}"
        )
    places = _each_once(parts)

    def read(index: int) -> tuple[ImageArray, Mask]:
        part, position = places[index]
        return parts[part].read(position)

    is_deep = "float32" in (train.dtype, val.dtype)
    names = tuple(parts[part].names[position] for part, position in places)
    pool = Split(
        tuple(f"{_PARTS[part]}/{name}" for (part, _), name in zip(places, names, strict=True)),
        "+".join(part.key for part in parts),
        read,
        train.channels,
        "float32" if is_deep else "uint8",
        files=tuple(parts[part].files[position] for part, position in places if parts[part].files),
        untrained=frozenset(
            place
            for place, (part, position) in enumerate(places)
            if position in parts[part].untrained
        ),
        palettes=tuple(dict.fromkeys((*train.palettes, *val.palettes))),
        notes=tuple(dict.fromkeys((*train.notes, *val.notes))),
    )
    return pool, names


def _each_once(parts: Sequence[Split]) -> list[tuple[int, int]]:
    """Part and position of every image; one that is there twice with the same mask counts once."""
    known: dict[Path, tuple[Path, ...]] = {}
    places = []
    for part, split in enumerate(parts):
        for position in range(len(split)):
            files = split.files[position] if split.files else ()
            if not files or files[0] not in known:
                places.append((part, position))
            elif files != known[files[0]]:
                raise DataError(
                    f"{files[0].name} is a training and a validation image, with different labels "
                    f"({known[files[0]][-1].name}, {files[-1].name}); take it out of one of them"
                )
            if files:
                known.setdefault(files[0], files)
    return places
