"""One part of a data set as scores need it: labels at their own size, images in any.

Training and validation part are those that training sees, `fold`, `holdout`, `remap` and `subset`
included. The test part is the format's own, with `remap` applied.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuner.configs import catalog
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import load, mask_palettes, remote
from tuner.training.data.cache import DecodedSplit, is_decoded, open_decoded
from tuner.training.data.split import ImageArray, Split

PARTS = ("train", "val", "test")
_ELSE = (
    "name its images with `--set dataset.test=NAME`, or score the validation images with "
    "`--split val`"
)


@dataclass(frozen=True)
class Part:
    """A decoded part, whose labels have the size of their files, and how to read the originals."""

    name: str
    decoded: DecodedSplit
    source: Split
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.decoded)

    def label(self, index: int) -> NDArray[np.uint8]:
        """Labels of one image at their own size; 255 is ignored."""
        return self.decoded.label(index)

    def original(self, index: int) -> ImageArray:
        """One image at its own size, height × width × channels. Raises DataError."""
        name = self.source.names[index]
        try:
            return self.source.read(index)[0]
        except OSError as error:
            raise paths.unreadable(name, error) from error
        except DataError as error:
            raise error if name in str(error) else type(error)(f"{name}: {error}") from error


def open_part(
    dataset: DatasetConfig, part: str, *, cache: Path, roots: tuple[Path, ...] = ()
) -> Part:
    """Open one of `PARTS`, decoding it on first use; a remote root is copied to the cache first.

    Raises:
        DataUnavailable: this machine has not the files, or cannot read them.
        DataError: the format has no such part, or it is mislabelled or broken, or was trained on.
        OSError: the cache cannot be written.
    """
    load.check_classes(dataset)
    with load.explained(cache):
        dataset, local = remote.fetched(dataset, cache, roots)
        if part == "test":
            split, notes = _test(dataset, local)
        else:
            split, notes = load.splits(dataset, local)[PARTS.index(part)], ()
        if not is_decoded(split, dataset, cache, resize_labels=False):
            mask_palettes.check(split.palettes)
        decoded = open_decoded(split, dataset, cache, resize_labels=False)
    return Part(part, decoded, split, (*split.notes, *notes))


def _test(dataset: DatasetConfig, roots: tuple[Path, ...]) -> tuple[Split, tuple[str, ...]]:
    """The test part, and what to know of it. Raises DataError."""
    if "test" not in catalog.find("dataset", dataset.format).options:
        raise DataError(
            f"the format {dataset.format} has no test part; score the validation images with "
            "`--split val`"
        )
    try:
        found = load.part_of(dataset, "test", roots)
    except DataError as error:
        kind = DataUnavailable if isinstance(error, DataUnavailable) else DataError
        raise kind(f"there is no test split: {error}; {_ELSE}") from error
    return found, _seen(found, dataset, roots)


def _seen(test: Split, dataset: DatasetConfig, roots: tuple[Path, ...]) -> tuple[str, ...]:
    """A note on test images that training saw. Raises DataError where that is all of them."""
    known: set[Path] = set()
    with suppress(DataError):  # a machine that only tests need not have the others
        for split in load.splits(dataset, roots):
            known |= {files[0] for files in split.files}
    shared = [files[0].name for files in test.files if files[0] in known]
    if not shared:
        return ()
    if len(shared) == len(test):
        raise DataError(
            f"all {len(test)} test images are training or validation images too, such as "
            f"{shared[0]}, so that their score says nothing new; {_ELSE}"
        )
    return (
        f"{len(shared)} of {len(test)} test images are training or validation images too, such as "
        f"{shared[0]}; the scores are too good",
    )
