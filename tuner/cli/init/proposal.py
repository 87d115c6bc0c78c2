"""From what was found in a folder to the study that is proposed for it: decisions only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.cli.init.known import KnownFormat
from tuner.cli.init.labels import IGNORED, choose_labels, never
from tuner.cli.init.layout import Layout
from tuner.cli.init.sample import Sample
from tuner.cli.init.survey import Findings
from tuner.cli.init.void import Question
from tuner.configs import catalog
from tuner.configs.traits import DatasetTraits
from tuner.spec import shares as counting
from tuner.spec.config import Size
from tuner.wording import quantity

_AREA = 512 * 512  # pixels of the network's input that a mid-sized GPU takes in batches of 8
_MULTIPLE = 8
_SMALLEST = 32
HOLDOUT = 0.2
_FEWEST = 2
_IMAGES_SEEN = 24_000  # images that a full training should see: about 3,000 steps of 8
_RARE = 0.02
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """A study for a folder, with what was found as notes.

    Where the format knows its `classes`, they are shown and not written.
    """

    name: str
    root: str
    format: str
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    ignore: int
    shares: tuple[float | None, ...]  # of the labelled pixels, by class
    frequency: tuple[float, ...]  # share of masks that have the class
    size: Size
    epochs: int
    batch_sizes: tuple[int, ...]
    weighted: bool
    notes: tuple[str, ...]
    colours: tuple[int, ...] = ()  # number of each class's colour, in coloured masks
    knows_classes: bool = False

    @property
    def dataset(self) -> dict[str, Any]:
        """The data set's section as a study has it."""
        found: dict[str, Any] = {"format": self.format, "root": self.root, **self.options}
        if not self.knows_classes:
            found["classes"] = list(self.classes)
        return {**found, "ignore_index": self.ignore, "size": list(self.size)}


def propose(found: Findings, name: str, root: str, ask: Question = never) -> Proposal:
    """Decide on a study for folders of images and masks.

    Raises:
        DataError: the masks hold no labels.
    """
    labels = choose_labels(found, ask)
    options, count = choose_splits(found)
    total = sum(found.pixels.get(value, 0) for value in labels.sources) or 1
    return _proposal(
        name=name,
        root=root,
        format="folder",
        options={**options, **found.bands.options, **labels.options},
        classes=labels.classes,
        ignore=labels.ignore,
        shares=tuple(_part(found.pixels.get(value), total) for value in labels.sources),
        frequency=tuple(
            found.seen_in.get(value, 0) / max(found.masks_read, 1) for value in labels.sources
        ),
        size=choose_size(found.sizes),
        count=count,
        notes=(*_folder_notes(found, options), *labels.notes),
        colours=labels.sources if found.is_coloured else (),
    )


def propose_known(known: KnownFormat, read: Sample, name: str, root: str) -> Proposal:
    """Decide on a study for a data set that has a format of its own."""
    own = catalog.traits(DatasetTraits, known.format).classes
    classes = known.classes or tuple(own)
    total = sum(read.pixels.get(label, 0) for label in range(len(classes))) or 1
    notes = [
        f"recognised as {known.format}: {quantity(read.train, 'image')} to train "
        f"and {read.val} to validate on",
        _sizes(read.sizes),
    ]
    if ignored := sum(read.pixels.values()) - total:
        notes.append(f"{ignored / sum(read.pixels.values()):.1%} of all pixels are ignored")
    return _proposal(
        name=name,
        root="/".join(part for part in (root, known.below.strip("/")) if part not in ("", "."))
        or ".",
        format=known.format,
        options=options_of(known),
        classes=classes,
        ignore=IGNORED,
        shares=tuple(_part(read.pixels.get(label), total) for label in range(len(classes))),
        frequency=tuple(read.seen_in.get(k, 0) / max(read.read, 1) for k in range(len(classes))),
        size=choose_size(read.sizes),
        count=read.train,
        notes=(*notes, *([known.note] if known.note else [])),
        knows_classes=not known.classes,
    )


def options_of(known: KnownFormat) -> dict[str, Any]:
    """The format's options, with a share held out where nothing else validates."""
    return {**known.options, **({} if known.has_val else {"holdout": HOLDOUT})}


def _proposal(*, count: int, notes: Sequence[str], **said: Any) -> Proposal:
    """What follows from the number of training images and the frequency of the classes."""
    rare = any(share is not None and share < _RARE for share in said["shares"])
    return Proposal(
        **said,
        epochs=min(100, max(10, round(_IMAGES_SEEN / max(count, 1)))),
        batch_sizes=choose_batches(count),
        weighted=rare and "class_weights" in catalog.find("loss", "cross_entropy").options,
        notes=(*notes, *_few(count)),
    )


def _part(pixels: int | None, total: int) -> float | None:
    return None if pixels is None else pixels / total


def choose_size(sizes: Mapping[Size, int]) -> Size:
    """The most frequent size, shrunk to what a GPU takes, in multiples of 8, aspect kept."""
    height, width = max(sizes, key=lambda size: (sizes[size], size))
    shrink = min(1.0, math.sqrt(_AREA / (height * width)))
    return _rounded(height * shrink), _rounded(width * shrink)


def _rounded(length: float) -> int:
    return max(_SMALLEST, round(length / _MULTIPLE) * _MULTIPLE)


def choose_splits(found: Findings) -> tuple[dict[str, Any], int]:
    """The folder format's options, and the number of training images."""
    layout = found.layout
    options: dict[str, Any] = {"images": layout.images, "masks": layout.masks}
    if layout.extra:
        options["extra"] = list(layout.extra)
    training = _training(found)
    if layout.is_split and (word := layout.splits[training].name) != "train":
        options["train"] = word
    if training != "test" and found.count("test") and layout.splits["test"].name != "test":
        options["test"] = layout.splits["test"].name
    if not layout.is_split or not found.count("val") or training == "val":
        return {**options, "holdout": HOLDOUT}, without_holdout(found.count(training))
    if (word := layout.splits["val"].name) != "val":
        options["val"] = word
    return options, found.count(training)


def _training(found: Findings) -> str:
    splits = found.layout.splits
    return "train" if found.count("train") else max(splits, key=found.count)


def without_holdout(images: int) -> int:
    """What is left to train on, as `tuner.training.data.folds` divides."""
    return images - max(counting.nearest(HOLDOUT, images), 1)


def choose_batches(images: int) -> tuple[int, ...]:
    """Batch sizes that so many training images can fill, and two at least, for batch norm."""
    return tuple(size for size in (4, 8, 16) if size <= images) or (_FEWEST,)


def _folder_notes(found: Findings, options: Mapping[str, Any]) -> tuple[str, ...]:
    layout = found.layout
    named = [name for name in layout.splits if found.count(name)]
    splits = ", ".join(f"{found.count(name)} {name}" for name in named)
    by_split = f": {splits}" if layout.is_split else ""
    notes = [f"{quantity(found.pairs, 'pair')} of image and mask{by_split}"]
    if found.masks_read + len(found.unreadable) < found.pairs:
        notes.append(f"labels are those of {quantity(found.masks_read, 'mask')}, a sample")
    notes.append(_sizes(found.sizes))
    if found.bands.note:
        notes.append(found.bands.note)
    if layout.others:
        notes.append(f"CHECK: masks are those of {layout.masks}; {layout.others[0]} would pair too")
    if layout.unused:
        folders = sorted(layout.unused, key=lambda name: (-layout.unused[name], name))[:_SHOWN]
        counted = ", ".join(f"{layout.unused[name]} in {name}" for name in folders)
        notes.append(f"image files in other folders, which are not used: {counted}")
    used = [_training(found), *(() if "holdout" in options else ("val",))]
    for what, names in (
        ("images without a mask: add it, or move them away", _unpaired(layout, used)),
        ("masks that do not lie on their image", found.odd_sizes),
        ("files that cannot be used", found.unreadable),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            notes.append(f"WARNING: training refuses {len(names)} {what}: {names[0]}{more}")
    return tuple(notes)


def _sizes(sizes: Mapping[Size, int]) -> str:
    common = sorted(sizes, key=lambda size: -sizes[size])
    shown = ", ".join(f"{h}×{w} ({sizes[h, w]})" for h, w in common[:3])
    more = f" and {quantity(len(common) - 3, 'other size')}" if len(common) > 3 else ""
    return f"images are {shown}{more}, height×width"


def _few(count: int) -> tuple[str, ...]:
    if count >= _FEWEST:
        return ()
    return (
        f"WARNING: {max(count, 0)} of the images are left to train on; a batch needs {_FEWEST}, "
        "and one more image validates: add images",
    )


def _unpaired(layout: Layout, used: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for split in used for name in layout.splits[split].unpaired)
