"""Which of the values in masks are the classes, under which names, and how a study says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

from tuner.cli.init.colours import find_palette
from tuner.cli.init.naming import Names
from tuner.cli.init.survey import Findings
from tuner.cli.init.void import FULL, Question, Void, find_void
from tuner.errors import DataError
from tuner.wording import quantity

IGNORED = 255
_MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Class names, what the masks hold for each, and how the study says so."""

    classes: tuple[str, ...]
    sources: tuple[int, ...]  # a value of the masks, or the number of a colour, for each class
    ignore: int = IGNORED
    options: Mapping[str, Any] = field(default_factory=dict)  # values, palette, remap
    notes: tuple[str, ...] = ()


def never(question: str) -> bool:
    """The answer where nobody can be asked: what is in doubt is a class."""
    return False


def choose_labels(found: Findings, ask: Question = never) -> LabelChoice:
    """Classes and void of a folder's masks.

    Raises:
        DataError: the masks hold no labels, or too many different values to be labels.
    """
    seen = sorted(found.pixels)
    if found.is_coloured:
        return _of_colours(found)
    _refuse_photographs(seen, found)
    names = _numbered(found.names, seen, found, ask)
    void = find_void(names, found, ask)
    labels = [value for value in seen if value != void.label and value >= 0]
    notes = [note for note in (void.note,) if note]
    if names.by_label:
        named = [label for label in sorted(names.by_label) if label != void.label]
        notes.insert(0, f"class names come from {names.source}")
        if extra := [value for value in labels if value not in names.by_label]:
            notes.append(
                f"WARNING: the masks also hold {_listed(extra)}, which {names.source} does not "
                "name: check the order of the names, and whether it is a class"
            )
        labels = sorted({*named, *labels})
    elif not _is_sparse(labels, found):
        highest = max(labels, default=0)
        if missing := sorted(set(range(highest + 1)) - set(labels)):
            notes.append(
                f"never seen: {', '.join(f'class_{k}' for k in missing)}; take them out with "
                "`values` if there are none"
            )
        labels = list(range(highest + 1))
    labels = _two(labels, notes)
    called = {label: names.by_label.get(label, f"class_{label}") for label in labels}
    if not names.by_label and len(labels) == 2:
        called = {label: f"class_{place}" for place, label in enumerate(labels)}
    return _as_options(labels, called, void, notes)


def _of_colours(found: Findings) -> LabelChoice:
    """Classes and void of coloured masks. Raises DataError."""
    named, void, notes = find_palette(found)
    palette = [list(colour) for colour in (*named, *void)]
    sources = tuple(r << 16 | g << 8 | b for r, g, b in named)
    classes = valid_names(tuple(named.values()))
    return LabelChoice(classes, sources, IGNORED, {"palette": palette}, tuple(notes))


def _as_options(
    labels: Sequence[int], called: Mapping[int, str], void: Void, notes: list[str]
) -> LabelChoice:
    """Values that are 0, 1, 2, … need no option; others `values`, and void below them a remap."""
    classes = valid_names(tuple(called[label] for label in labels))
    is_plain = list(labels) == list(range(len(labels)))
    ignore = _ignore(void.label, len(labels))
    if void.label is not None and 0 <= void.label != ignore:
        remap = {label: place for place, label in enumerate(labels)}
        options: dict[str, Any] = {"remap": {void.label: ignore, **remap}}
    else:
        options = {} if is_plain else {"values": list(labels)}
    if options and not is_plain:
        key = "`remap`" if "remap" in options else "`values`"
        notes.append(f"the masks hold {_listed(labels)} for the classes; {key} gives the order")
    if void.label is None:
        notes.append("no value of the masks is ignored")
    return LabelChoice(classes, tuple(labels), ignore, options, tuple(notes))


def _ignore(void: int | None, classes: int) -> int:
    if void is not None and classes <= void <= FULL[1]:
        return void
    return FULL[0] if classes <= FULL[0] else FULL[1]


def _two(labels: list[int], notes: list[str]) -> list[int]:
    """At least two classes, as a study needs."""
    if len(labels) > 1:
        return labels
    only = labels[0] if labels else 0
    notes.append(
        f"WARNING: the masks hold {only} and nothing else; a second class was added: are these the "
        "right masks?"
    )
    return [only, only + 1] if only < FULL[0] else [0, only]


def _refuse_photographs(seen: Sequence[int], found: Findings) -> None:
    if not seen:
        count = len(found.unreadable)
        first = found.unreadable[0] if found.unreadable else "there are none"
        raise DataError(f"no mask could be read ({quantity(count, 'file')}): {first}")
    values = [value for value in seen if value not in found.nodata]
    if len(seen) > _MOST_LABELS or (values and (values[-1] > FULL[1] or values[0] < 0)):
        raise DataError(
            f"the masks hold {len(seen)} different values from {seen[0]} to {seen[-1]}; an index "
            "mask holds one small whole number per class, 0 to 65535, saved without loss (PNG, "
            "not JPEG)"
        )


# ── Names ───────────────────────────────────────────────────────────────────────────────────────


def _numbered(names: Names | None, seen: Sequence[int], found: Findings, ask: Question) -> Names:
    """The names by the values of the masks; a list of names alone is laid on what masks hold."""
    if names is None or not names.by_label or names.is_numbered:
        return names or Names("")
    listed = [names.by_label[place] for place in sorted(names.by_label)]
    plain = [value for value in seen if value not in found.nodata]
    if len(plain) == len(listed) + 1 and plain[-1] in FULL and len(listed) > 1:
        plain = plain[:-1]  # void, as is found later
    is_beyond = max(plain, default=0) >= len(listed)
    if is_beyond and len(plain) == len(listed):
        return Names(names.source, dict(zip(plain, listed, strict=True)))
    if is_beyond and len(plain) == 2 and len(listed) == 1:
        return Names(names.source, {plain[0]: "background", plain[1]: listed[0]})
    if plain == list(range(len(listed) + 1)) and ask(
        f"{names.source} names {len(listed)} classes, the masks hold 0 to {len(listed)}. Is 0 a "
        "background that has no name there?"
    ):
        return Names(names.source, {0: "background", **dict(enumerate(listed, start=1))})
    if len(plain) == 2 and plain[0] == 0 and plain[1] in FULL and len(listed) > 2:
        return Names("")
    return names


def valid_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Class names that a study accepts, as `tuner.configs.checks.names` has it, all different."""
    found: list[str] = []
    for index, name in enumerate(names):
        clean = normalize("NFC", name).replace(".", "_").replace(",", "_")
        clean = "".join(sign if sign.isprintable() else " " for sign in clean)
        clean = clean.lstrip("[ ")[:90].strip() or f"class_{index}"
        clean = "worst_class" if clean == "worst" else clean
        found.append(clean if clean not in found else f"{clean}_{index}")
    return tuple(found)


def _is_sparse(labels: Sequence[int], found: Findings) -> bool:
    """Whether gaps between labels are surely no rare classes that the sample missed."""
    if not labels or labels[-1] + 1 == len(labels):
        return False
    return found.masks_read >= found.pairs or 2 * len(labels) <= labels[-1] + 1


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:10]))
    return f"{shown}, …" if len(values) > 10 else shown
