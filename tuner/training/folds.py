"""Divides a data set anew: k folds by name or group, and a share of the training images.

Everything is a counted draw over names, so that two machines divide alike, and a smaller subset
lies within every larger one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from tuner.errors import DataError
from tuner.spec import shares
from tuner.training import draws
from tuner.training.split import Mask, Picture, Split

_NAMED = 5


def groups(names: Sequence[str], pattern: str | None) -> tuple[str, ...]:
    """What must stay together, for each name: the pattern's first group, or the name itself.

    Raises:
        DataError: the pattern is no regex with a group, or some names do not match it.
    """
    if pattern is None:
        return tuple(names)
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise DataError(f"dataset.group '{pattern}' is no regular expression: {error}") from None
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


def folded(
    train: Split, val: Split, fold: tuple[int, int], group: str | None
) -> tuple[Split, Split]:
    """Pool both splits; fold k of n validates and the others train.

    Groups are ordered by a hash of their names and dealt out in turn, so that the folds differ by
    one group at most. Raises DataError.
    """
    part, count = fold
    pool = _pooled(train, val)
    # Both splits may have an image of one name; only a pattern makes them one group.
    owners = groups((*train.names, *val.names), group) if group else pool.names
    order = sorted(set(owners), key=lambda owner: sha256(owner.encode()).digest())
    if part >= count or len(order) < count:
        raise DataError(
            f"dataset.fold is [{part}, {count}]; the fold is 0 to {count - 1}, and "
            f"{len(order)} groups of images can give {len(order)} folds at most"
        )
    held = {owner for place, owner in enumerate(order) if place % count == part}
    chosen = np.array([owner in held for owner in owners])
    note = f"fold {part} of {count} by {group}"
    return (
        selected(pool, np.flatnonzero(~chosen).tolist(), note),
        selected(pool, np.flatnonzero(chosen).tolist(), f"{note}, held out"),
    )


def subset(split: Split, share: float) -> Split:
    """A share of the images, at least one, in their old order."""
    if share >= 1:
        return split
    count = max(1, shares.nearest(share, len(split)))
    order = draws.permutation("subset", length=len(split))
    return selected(split, sorted(order[:count].tolist()), f"subset {count} of {len(split)}")


def selected(split: Split, positions: Sequence[int], note: str) -> Split:
    """The images at these positions; `note` tells them apart from other selections."""

    def read(index: int) -> tuple[Picture, Mask]:
        return split.read(positions[index])

    names = tuple(split.names[position] for position in positions)
    return replace(split, names=names, key=f"{split.key}/{note}", read=read)


def _pooled(train: Split, val: Split) -> Split:
    if train.channels != val.channels:
        raise DataError(
            f"training images have {train.channels} channels, validation images {val.channels}"
        )

    def read(index: int) -> tuple[Picture, Mask]:
        return train.read(index) if index < len(train) else val.read(index - len(train))

    names = tuple(
        f"{name}/{each}" for name, part in (("train", train), ("val", val)) for each in part.names
    )
    is_deep = "float32" in (train.depth, val.depth)
    return Split(
        names,
        f"{train.key}+{val.key}",
        read,
        train.channels,
        "float32" if is_deep else "uint8",
        palettes=(*train.palettes, *val.palettes),
        notes=tuple(dict.fromkeys((*train.notes, *val.notes))),
    )
