"""Which colours of coloured masks are classes, under which names: the `palette` of a study."""

from collections.abc import Mapping, Sequence

from tuner.cli.init.naming import Names, is_unlabelled, is_void
from tuner.cli.init.survey import Findings
from tuner.configs.colours import Colour
from tuner.errors import DataError
from tuner.training.data.image_files import colour_of
from tuner.wording import quantity

_MOST = 256
_LARGE = 0.5
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_BORDER: Colour = (224, 224, 192)  # of Pascal VOC's palette


def find_palette(found: Findings) -> tuple[dict[Colour, str], list[Colour], list[str]]:
    """Names of the classes by colour, the colours that are void, and notes.

    Named colours come in the order of their file, others black first and then the frequent ones.
    Raises DataError.
    """
    seen = _seen(found)
    names = found.names if found.names and found.names.by_colour else Names("")
    notes = [f"{found.why_coloured}; `palette` gives the colour of each class"]
    void = _void(names.by_colour, seen)
    classes = [colour for colour in names.by_colour if colour not in void]
    rest = sorted(
        seen.keys() - names.by_colour.keys() - set(void),
        key=lambda colour: (colour != _BLACK, -seen[colour], colour),
    )
    if names.source:
        notes.append(f"class names come from {names.source}")
    if names.source and rest:
        notes.append(
            f"WARNING: {names.source} does not name the colours {listed(rest)}; they are classes "
            "of their own here"
        )
    classes += rest
    if len(classes) < 2:
        classes, void = [*classes, *void], []
    if len(classes) < 2:
        classes.append(_WHITE if classes == [_BLACK] else _BLACK)
        notes.append("WARNING: the masks hold one colour only; a second class was added")
    if void:
        called = ", ".join(names.by_colour.get(each, "the border of Pascal VOC") for each in void)
        notes.append(f"{listed(void)} is ignored: {called}")
    named = {each: names.by_colour.get(each, f"class_{k}") for k, each in enumerate(classes)}
    return named, void, notes


def listed(colours: Sequence[Colour]) -> str:
    """Colours for a message."""
    return ", ".join(str(list(colour)) for colour in colours)


def _seen(found: Findings) -> dict[Colour, int]:
    """Pixels of each colour. Raises DataError."""
    if not found.pixels:
        raise DataError(f"no mask could be read: {found.unreadable[0]}")
    if len(found.pixels) > _MOST:
        raise DataError(
            f"the masks hold {quantity(len(found.pixels), 'colour')}, "
            "which are too many for classes; they "
            "were smoothed, resized or compressed: save them again from their source, without loss"
        )
    parts = {code: colour_of(code) for code in found.pixels}
    return {(r, g, b): found.pixels[code] for code, (r, g, b) in parts.items()}


def _void(names: Mapping[Colour, str], seen: Mapping[Colour, int]) -> list[Colour]:
    """Colours that their names, or Pascal VOC's palette, say to be of no class."""
    most = _LARGE * sum(seen.values())
    if not names:
        return [_BORDER] if _BORDER in seen and len(seen) > 2 else []
    return [
        colour
        for colour, name in names.items()
        if is_void(name) or (is_unlabelled(name) and seen.get(colour, 0) <= most)
    ]
