"""Colours that tell classes apart: the data set's own, or ones for people of every colour vision.

Everything that paints classes asks here, so that a class has one colour wherever it is looked at.
"""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.configs import catalog
from tuner.configs.traits import DatasetTraits
from tuner.errors import UnknownComponent
from tuner.spec.config import DatasetConfig

Colour = tuple[int, int, int]
# Okabe and Ito 2008 without black, then hues of Tol 2021 that differ from them in lightness.
_FIRST = (
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (0, 114, 178),
    (204, 121, 167),
    (0, 158, 115),
    (230, 159, 0),
    (51, 34, 136),
    (170, 68, 153),
    (170, 170, 170),
    (136, 34, 85),
    (68, 170, 153),
    (153, 153, 51),
    (255, 170, 187),
    (140, 81, 10),
)
_GOLDEN = 0.61803398875
_LIGHTNESS = (0.35, 0.75, 0.55)
_PALETTE = "palette"  # of coloured masks: the option of the format `folder`
_BYTES = range(256)


def class_colours(dataset: DatasetConfig) -> tuple[Colour, ...]:
    """One colour for each class, in order.

    They are those of the masks where these are coloured, else those that the data set's authors
    gave to classes of the same names; the others get safe ones that differ from them.
    """
    known = _of_masks(dataset) or _of_authors(dataset)
    names = dataset.classes
    missing = [name for name in names if name not in known]
    taken = set(known.values())
    spare = [colour for colour in colours(len(names) + len(taken)) if colour not in taken]
    filled = dict(zip(missing, spare, strict=False))
    return tuple(known[name] if name in known else filled[name] for name in names)


def colours(count: int) -> list[Colour]:
    """So many colours; the first ones differ in lightness as well as in hue."""
    chosen: list[Colour] = list(_FIRST[:count])
    for index in range(len(chosen), count):
        hue, lightness = (index * _GOLDEN) % 1, _LIGHTNESS[index % len(_LIGHTNESS)]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.7)
        chosen.append((round(255 * red), round(255 * green), round(255 * blue)))
    return chosen


def _of_masks(dataset: DatasetConfig) -> Mapping[str, Colour]:
    """Of classes by name, where the study lists the colours of its masks."""
    listed = dataset.options.get(_PALETTE)
    found = [_colour(each) for each in listed] if isinstance(listed, list) else []
    labels = range(len(found)) if dataset.remap is None else dataset.remap
    named: dict[str, Colour] = {}
    for label in labels:
        place = label if dataset.remap is None else dataset.remap[label]
        colour = found[label] if 0 <= label < len(found) else None
        if colour is not None and place < len(dataset.classes):
            named.setdefault(dataset.classes[place], colour)
    return named


def _colour(value: Any) -> Colour | None:
    """A listed colour, or None in place of anything else: stored studies may be of any release."""
    if not isinstance(value, Sequence) or len(value) != 3:
        return None
    if not all(isinstance(part, int) and part in _BYTES for part in value):
        return None
    return value[0], value[1], value[2]


def _of_authors(dataset: DatasetConfig) -> Mapping[str, Colour]:
    try:
        traits = catalog.traits(DatasetTraits, dataset.format)
    except UnknownComponent:  # a study of another server's plugin
        return {}
    return dict(zip(traits.classes, traits.colours, strict=False))
