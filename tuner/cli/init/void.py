"""Which value of the masks is void, that is of no class: only with evidence.

Evidence is 255 (65535 in 16 bits) beside small labels, thin lines between all others as in Pascal
VOC, a GeoTIFF's nodata, or a name such as `void`. Where that leaves doubt, the user is asked;
without an answer the value is a class, so that nothing is ignored unseen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuner.cli.init.naming import Names, is_unlabelled, is_void
from tuner.cli.init.survey import Findings

Question = Callable[[str], bool]
FULL = (255, 65535)  # the highest value of 8 and of 16 bits
_LARGE = 0.5
_SPREAD = 5  # labels fill at least a fifth of the numbers up to the highest
_HIGH = 200


@dataclass(frozen=True, slots=True)
class Void:
    """A value that is not a class, or None, and the sentence that says why."""

    label: int | None = None
    note: str = ""


def find_void(names: Names, found: Findings, ask: Question) -> Void:
    """The value of the masks that no class has, if there is one."""
    seen = sorted(found.pixels)
    by_name = _named(names, found, ask) or _declared(seen, found, ask)
    if by_name is not None or len(seen) < 3:
        return by_name or Void()
    return _beyond(seen, names, found, ask) if names.by_label else _above(seen, found, ask)


def _named(names: Names, found: Findings, ask: Question) -> Void | None:
    """The value whose name says that it is not a class."""
    for label, name in sorted(names.by_label.items()):
        is_weak = is_unlabelled(name)
        if not (is_void(name) or is_weak) or len(names.by_label) < 3:
            continue
        what = f"{label} is called '{name}' in {names.source}"
        share = _share(label, found)
        if is_weak and share > _LARGE:
            return _doubt(label, f"{what} and has {share:.0%} of all pixels", ask)
        return _sure(label, what, found)
    return None


def _declared(seen: Sequence[int], found: Findings, ask: Question) -> Void | None:
    """The nodata of GeoTIFFs, of which 0 is the background of many."""
    label = next((label for label in seen if label in found.nodata), None)
    if label is None or len(seen) < 3:
        return None
    what = f"the files declare {label} as nodata"
    return _doubt(label, what, ask) if label == 0 else _sure(label, what, found)


def _beyond(seen: Sequence[int], names: Names, found: Findings, ask: Question) -> Void:
    """The one value that a file of class names does not name."""
    top = seen[-1]
    if [value for value in seen if value not in names.by_label] != [top]:
        return Void()
    if top in FULL:
        return _sure(top, f"{names.source} does not name it", found)
    return _doubt(top, f"{top} is beyond the names of {names.source}", ask)


def _above(seen: Sequence[int], found: Findings, ask: Question) -> Void:
    """The highest value, by where it lies among the others."""
    *rest, top = seen
    is_thin, is_apart, are_indices = top in found.borders, top > rest[-1] + 1, _are_indices(rest)
    if top in FULL and are_indices:
        return _sure(top, f"it is far above the labels {_listed(rest)}", found)
    if is_thin and is_apart:
        return _sure(top, "it forms thin lines between all other labels", found)
    if is_thin:
        return _doubt(top, f"{top} forms thin lines between all other labels", ask)
    if top in FULL or (is_apart and top >= _HIGH and are_indices):
        return _doubt(top, f"{top} is above the values {_listed(rest)}", ask)
    return Void()


def _sure(label: int, why: str, found: Findings) -> Void:
    share = _share(label, found)
    return Void(label, f"{label} is ignored ({share:.1%} of all pixels): {why}")


def _doubt(label: int, what: str, ask: Question) -> Void:
    if ask(f"{what}. Is it void, a value of no class that training ignores?"):
        return Void(label, f"{label} is ignored, as you said")
    return Void(
        None,
        f"CHECK: {what}, and was taken for a class; if it means void, take the class out and set "
        f"ignore_index: {label}" + ("" if label else " by a remap: {0: 255, 1: 0, 2: 1, …}"),
    )


def _share(label: int, found: Findings) -> float:
    return found.pixels.get(label, 0) / (sum(found.pixels.values()) or 1)


def _are_indices(labels: Sequence[int]) -> bool:
    """Whether values are numbers of classes, and no greys that are spread for the eye."""
    return len(labels) > 1 and labels[-1] + 1 <= _SPREAD * len(labels)


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:10]))
    return f"{shown}, …" if len(values) > 10 else shown
