"""Annotations of one image as a semantic mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError
from tuner.training.data.annotations import Annotation, Id
from tuner.training.data.regions import Region, region
from tuner.training.data.split import Mask
from tuner.training.datasets._frames import Frame
from tuner.wording import quantity

OverlapRule = Literal["ignore", "conflict", "smaller"]
_NAMED = 5


@dataclass(frozen=True, slots=True)
class RenderingRules:
    """What becomes of pixels under no instance, under several, or under a crowd."""

    ignore: int
    background: int
    overlap: OverlapRule = "ignore"
    ignore_crowd: bool = True


def of_instances(
    found: Sequence[Annotation],
    labels: Mapping[Id, int],
    rules: RenderingRules,
    frame: Frame,
    *,
    slack: float | None,
) -> Mask:
    """Instances laid over each other in the frame's size, the largest first. Raises DataError.

    Crowds that are ignored count only where no other instance lies; an instance that is there twice
    counts once. `slack` is how far a corner may lie outside; None for any distance.
    """
    crowds, areas = [], []
    for each in _each_once(found):
        area = _region(each, frame, slack)
        if rules.ignore_crowd and each.is_crowd:
            crowds.append(area)
        else:
            areas.append((labels[each.category], area))
    mask = np.full(frame.size, rules.background, dtype=np.int32)
    covered, twice, torn = (np.zeros(frame.size, dtype=bool) for _ in range(3))
    for label, area in sorted(areas, key=lambda each: -int(each[1].sum())):
        again = covered & area
        twice |= again
        torn |= again & (mask != label)
        mask[area] = label
        covered |= area
    for crowd in crowds:
        mask[crowd & ~covered] = rules.ignore
    if rules.overlap != "smaller":
        mask[twice if rules.overlap == "ignore" else torn] = rules.ignore
    return mask


def of_segments(
    found: Sequence[Annotation],
    labels: Mapping[Id, int],
    ids: NDArray[np.int64],
    rules: RenderingRules,
) -> Mask:
    """The mask of a panoptic PNG's segment ids; 0 is unlabelled. Raises DataError."""
    known = {0: rules.ignore}
    for segment in found:
        label = labels.get(segment.category, rules.background)
        is_ignored = rules.ignore_crowd and segment.is_crowd
        known[segment.shape] = rules.ignore if is_ignored else label
    seen, places = np.unique(ids, return_inverse=True)
    lost = [each for each in seen.tolist() if each not in known]
    if lost:
        raise DataError(f"in the PNG only: {quantity(len(lost), 'segment')}, first {lost[:_NAMED]}")
    table = np.array([known[each] for each in seen.tolist()], dtype=np.int32)
    return table[places].reshape(ids.shape)


def _each_once(found: Sequence[Annotation]) -> Sequence[Annotation]:
    kept = {(each.category, each.is_crowd, repr(each.shape)): each for each in found}
    return list(kept.values())


def _region(each: Annotation, frame: Frame, slack: float | None) -> Region:
    try:
        return region(each.shape, frame.size, frame.stated, slack=slack)
    except DataError as error:
        raise DataError(f"{each.name}: {error}; correct it, or take it out") from error
