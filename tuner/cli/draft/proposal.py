"""From what a folder shows to the study that is proposed for it: decisions only, no reading."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from tuner import catalog
from tuner.cli.draft.layout import Layout
from tuner.cli.draft.survey import Findings, Size
from tuner.errors import DataError

_AREA = 512 * 512  # pixels of the network's input that a mid-sized GPU takes in batches of 8
_MULTIPLE = 8
_SMALLEST = 32
_HOLDOUT = 0.2
_FEWEST = 2
_IMAGES_SEEN = 24_000  # images that a full training should see: about 3,000 steps of 8
_RARE = 0.02
_MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Labels:
    """Class names by label, the label that is ignored, and the mask values if not 0, 1, 2, …"""

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignore: int
    notes: tuple[str, ...]

    @property
    def is_mapped(self) -> bool:
        """Whether the masks' values are not the labels themselves."""
        return self.values != tuple(range(len(self.values)))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A study for a folder, with what was found as notes."""

    name: str
    root: str
    options: Mapping[str, Any]
    labels: Labels
    shares: tuple[float | None, ...]  # of the labelled pixels, by class
    frequency: tuple[float, ...]  # share of masks that have the class
    size: Size
    epochs: int
    batch_sizes: tuple[int, ...]
    weighted: bool
    notes: tuple[str, ...]


def propose(found: Findings, name: str, root: str) -> Proposal:
    """Decide on a study. Raises DataError where the masks cannot be index masks."""
    labels = choose_labels(found)
    total = sum(found.pixels.get(value, 0) for value in labels.values) or 1
    shares = tuple(
        found.pixels[value] / total if value in found.pixels else None for value in labels.values
    )
    options, count = choose_splits(found)
    rare = any(share is not None and share < _RARE for share in shares)
    batches = choose_batches(count)
    return Proposal(
        name=name,
        root=root,
        options={**options, **({"values": list(labels.values)} if labels.is_mapped else {})},
        labels=labels,
        shares=shares,
        frequency=tuple(
            found.seen_in.get(value, 0) / max(found.masks_read, 1) for value in labels.values
        ),
        size=choose_size(found.sizes),
        epochs=min(100, max(10, round(_IMAGES_SEEN / max(count, 1)))),
        batch_sizes=batches,
        weighted=rare and "class_weights" in catalog.find("loss", "cross_entropy").options,
        notes=(*_folder_notes(found), *_few(count), *labels.notes),
    )


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
    training = "train" if "train" in layout.splits else max(layout.splits, key=found.count)
    if not layout.is_split:
        return {**options, "holdout": _HOLDOUT}, _without_holdout(found.count(training))
    if (word := layout.splits[training].name) != "train":
        options["train"] = word
    if not found.count("val") or training == "val":
        return {**options, "holdout": _HOLDOUT}, _without_holdout(found.count(training))
    if (word := layout.splits["val"].name) != "val":
        options["val"] = word
    return options, found.count(training)


def _without_holdout(images: int) -> int:
    """What is left to train on, as `tuner.training.folds` divides."""
    return images - max(round(images * _HOLDOUT), 1)


def choose_batches(images: int) -> tuple[int, ...]:
    """Batch sizes that so many training images can fill, and two at least, for batch norm."""
    return tuple(size for size in (4, 8, 16) if size <= images) or (_FEWEST,)


def choose_labels(found: Findings) -> Labels:
    """Which mask values are classes, and which one is ignored.

    Raises:
        DataError: the masks hold no labels, or too many different values to be labels.
    """
    seen = sorted(found.pixels)
    _refuse_pictures(seen, found)
    if seen == [0, 255]:
        note = "black-and-white masks: 0 becomes the first class, 255 the second"
        pair = found.classes if len(found.classes) == 2 else ("class_0", "class_1")
        return Labels(valid_names(pair), (0, 255), 255, (note,))
    if found.classes:
        return _named(found, seen)
    ignore = _void(seen)
    labels = [value for value in seen if value != ignore] or [0]
    note = _ignore_note(ignore, found)
    if _is_sparse(labels, found):
        sparse = f"the masks hold {len(labels)} labels with gaps; `values` gives them their order"
        names = tuple(f"class_{value}" for value in labels)
        padded = labels if len(labels) > 1 else [*labels, labels[0] + 1]
        names = names if len(names) > 1 else (*names, f"class_{padded[1]}")
        taken = ignore if ignore >= len(padded) else 255
        return Labels(names, tuple(padded), taken, (sparse, note))
    count = max(2, labels[-1] + 1)
    missing = sorted(set(range(count)) - set(labels))
    notes = [note]
    if missing:
        notes.append(f"never seen in the sample: {', '.join(f'class_{k}' for k in missing)}")
    names = tuple(f"class_{value}" for value in range(count))
    if ignore not in found.pixels and count > 2:
        notes.append(
            f"if class_{count - 1} means 'void', take it out of `classes` and set ignore_index: "
            f"{count - 1}"
        )
    return Labels(names, tuple(range(count)), ignore, tuple(notes))


def _refuse_pictures(seen: list[int], found: Findings) -> None:
    if not seen and found.colour_masks:
        raise DataError(
            f"the masks are coloured pictures ({found.colour_masks[0]}, …); save them as one "
            "channel that holds the class index: 0, 1, 2, …"
        )
    if not seen:
        count = len(found.unreadable)
        raise DataError(f"no mask could be read ({count} files): {found.unreadable[0]}")
    if len(seen) > _MOST_LABELS or seen[-1] > 65535 or seen[0] < 0:
        raise DataError(
            f"the masks hold {len(seen)} different values from {seen[0]} to {seen[-1]}; an index "
            "mask holds one small whole number per class, saved without loss (PNG, not JPEG)"
        )


def _named(found: Findings, seen: list[int]) -> Labels:
    """Labels under the names of the class file; one label beyond them is the ignored one."""
    names = valid_names(found.classes)
    if len(names) < 2:
        names = (*names, "class_1")
    beyond = [value for value in seen if value >= len(names)]
    ignore = beyond[-1] if beyond else 255 if len(names) <= 255 else 65535
    notes = [f"class names come from {found.classes_file}", _ignore_note(ignore, found)]
    if len(beyond) > 1:
        notes.append(
            f"WARNING: the masks also hold {_listed(beyond[:-1])}, which {found.classes_file} does "
            "not name; training will refuse them"
        )
    return Labels(names, tuple(range(len(names))), ignore, tuple(notes))


def valid_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Class names that a study accepts, as `tuner.submission.names` has it, all different."""
    found: list[str] = []
    for index, name in enumerate(names):
        clean = normalize("NFC", name).replace(".", "_").replace(",", "_")
        clean = "".join(sign if sign.isprintable() else " " for sign in clean)
        clean = clean.lstrip("[ ")[:90].strip() or f"class_{index}"
        clean = "worst_class" if clean == "worst" else clean
        found.append(clean if clean not in found else f"{clean}_{index}")
    return tuple(found)


def _void(seen: list[int]) -> int:
    """255 if the masks have it, else a lone label far above the others, else 255."""
    if 255 in seen or len(seen) < 2:
        return 255
    return seen[-1] if seen[-1] >= 200 and seen[-1] > seen[-2] + 1 else max(255, seen[-1] + 1)


def _is_sparse(labels: list[int], found: Findings) -> bool:
    """Whether gaps between labels are surely no rare classes that the sample missed."""
    if labels[-1] + 1 == len(labels):
        return False
    pairs = sum(len(split.pairs) for split in found.layout.splits.values())
    return found.masks_read >= pairs or 2 * len(labels) <= labels[-1] + 1


def _ignore_note(ignore: int, found: Findings) -> str:
    total = sum(found.pixels.values()) or 1
    if ignore not in found.pixels:
        return f"no label is ignored; {ignore} would be"
    return f"label {ignore} is ignored: {found.pixels[ignore] / total:.1%} of all pixels"


def _folder_notes(found: Findings) -> tuple[str, ...]:
    layout = found.layout
    splits = ", ".join(f"{found.count(name)} {name}" for name in layout.splits)
    notes = [f"{splits if layout.is_split else found.count('')} pairs of image and mask"]
    common = sorted(found.sizes, key=lambda size: -found.sizes[size])
    shown = ", ".join(f"{h}×{w} ({found.sizes[h, w]})" for h, w in common[:3])
    more = f" and {len(common) - 3} other sizes" if len(common) > 3 else ""
    notes.append(f"images are {shown}{more}, height×width")
    unpaired = _unpaired(layout)
    for what, names in (
        ("images have no mask", unpaired),
        ("masks are coloured pictures, not class indices", found.colour_masks),
        ("masks have another size than their image", found.odd_sizes),
        ("files are not readable", found.unreadable),
    ):
        if names:
            notes.append(f"WARNING: {len(names)} {what}; training will refuse them: {names[0]}, …")
    return tuple(notes)


def _few(count: int) -> tuple[str, ...]:
    if count >= _FEWEST:
        return ()
    return (
        f"WARNING: {max(count, 0)} of the images are left to train on; a batch needs {_FEWEST}, "
        "and one more image validates: add images",
    )


def _unpaired(layout: Layout) -> tuple[str, ...]:
    return tuple(name for split in layout.splits.values() for name in split.unpaired)


def _listed(values: list[int]) -> str:
    return ", ".join(str(value) for value in values)
