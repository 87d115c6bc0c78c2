"""From a data set's config to decoded training and validation splits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tuner.configs import catalog
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import folds, labels, mask_palettes, remote
from tuner.training.data.cache import DecodedSplit, is_decoded, open_decoded
from tuner.training.data.split import Split
from tuner.training.ignore import IGNORE
from tuner.wording import quantity


@dataclass(frozen=True)
class Data:
    """A data set ready to train on; `roots` are the folders whose files a study may name.

    `notes` say what a user should know of how its files are read.
    """

    train: DecodedSplit
    val: DecodedSplit
    fingerprint: str
    roots: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each class in the labelled pixels of the training split."""
        total = max(sum(self.train.class_pixels), 1)
        return tuple(pixels / total for pixels in self.train.class_pixels)


def load(dataset: DatasetConfig, *, cache: Path, roots: tuple[Path, ...] = ()) -> Data:
    """Open both splits, decoding them on first use; a remote root is copied to the cache first.

    Raises:
        DataUnavailable: this machine has not the files, or cannot read them.
        DataError: the data set is mislabelled or broken.
        OSError: the cache cannot be written.
    """
    with explained(cache):
        return _load(dataset, cache, roots)


@contextmanager
def explained(cache: Path) -> Iterator[None]:
    """Turn what a machine refuses into errors of the data set; those of the cache stay."""
    try:
        yield
    except MemoryError as error:
        raise DataUnavailable(
            "this machine has not enough memory to decode the data set; free some, or let a worker "
            "with more memory take it"
        ) from error
    except OSError as error:
        if not paths.is_refusal(error) or error.errno in paths.FULL or _is_below(cache, error):
            raise
        raise paths.unreadable(str(error.filename or "the data set"), error) from error


def _is_below(cache: Path, error: OSError) -> bool:
    """Whether the cache was refused, and not a file of the data set."""
    return error.filename is not None and Path(str(error.filename)).is_relative_to(cache)


def check_classes(dataset: DatasetConfig) -> None:
    """Raise DataError where there are more classes than a label can tell apart."""
    if len(dataset.classes) > IGNORE:
        raise DataError(f"{len(dataset.classes)} classes; at most {IGNORE} are supported")


def _load(dataset: DatasetConfig, cache: Path, roots: tuple[Path, ...]) -> Data:
    check_classes(dataset)
    dataset, local = remote.fetched(dataset, cache, roots)
    train, val = splits(dataset, local)
    if train.channels != val.channels:
        raise DataError(
            f"training images have {quantity(train.channels, 'channel')}, "
            f"validation images {val.channels}; "
            "a network takes one number of channels"
        )
    if not all(
        is_decoded(each, dataset, cache, resize_labels=each is train) for each in (train, val)
    ):
        mask_palettes.check((*train.palettes, *val.palettes))
    decoded = [
        open_decoded(split, dataset, cache, resize_labels=split is train) for split in (train, val)
    ]
    prints = "/".join(each.fingerprint for each in decoded)
    notes = tuple(dict.fromkeys((*train.notes, *val.notes)))
    return Data(decoded[0], decoded[1], sha256(prints.encode()).hexdigest(), roots, notes)


def splits(dataset: DatasetConfig, roots: tuple[Path, ...]) -> tuple[Split, Split]:
    """Training and validation split: the format's, then `remap`, `holdout`, `fold` and `subset`.

    Raises:
        DataError: files are missing or do not pair, or cannot be divided like that.
    """
    return folds.divided(dataset, lambda part: part_of(dataset, part, roots))


def part_of(dataset: DatasetConfig, part: str, roots: tuple[Path, ...]) -> Split:
    """The format's own `train`, `val` or `test` part, with `remap` applied. Raises DataError."""
    module = catalog.load("dataset", dataset.format)
    known = catalog.find("dataset", dataset.format).options
    options = {name: value for name, value in dataset.options.items() if name in known}
    found = module.open_split(labels.unmapped(dataset), part, roots, **options)
    return labels.remapped(found, dataset)
