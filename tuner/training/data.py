"""From a data set's config to decoded training and validation stores."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tuner import catalog
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.cache import Store, open_store
from tuner.training.ignore import IGNORE


@dataclass(frozen=True)
class Data:
    """A data set ready to train on; `roots` are the folders whose files a study may name."""

    train: Store
    val: Store
    fingerprint: str
    roots: tuple[Path, ...] = ()

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each class in the labelled pixels of the training split."""
        total = max(sum(self.train.class_pixels), 1)
        return tuple(pixels / total for pixels in self.train.class_pixels)


def load(dataset: DatasetConfig, *, cache: Path, roots: tuple[Path, ...] = ()) -> Data:
    """Open both splits, decoding them on first use.

    Raises:
        DataError: the data set is missing, mislabelled, or outside the allowed roots.
    """
    if len(dataset.classes) > IGNORE:
        raise DataError(f"{len(dataset.classes)} classes; at most {IGNORE} are supported")
    module = catalog.load("dataset", dataset.format)
    known = catalog.find("dataset", dataset.format).options
    options = {name: value for name, value in dataset.options.items() if name in known}
    train, val = (
        open_store(
            module.open_split(dataset, split, roots, **options),
            dataset,
            cache,
            resize_labels=split == "train",
        )
        for split in ("train", "val")
    )
    prints = f"{train.fingerprint}/{val.fingerprint}"
    return Data(train, val, sha256(prints.encode()).hexdigest(), roots)
