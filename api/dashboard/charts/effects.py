"""Which params go with the value: the order of axes where nobody has chosen one."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from api.dashboard.charts.dimensions import ParamAxis, place_of
from tuner.service.trial_points import TrialPoint

_BINS = 8
_MOST = 2000  # trials, evenly spread
_ABSENT = -1


def by_effect(trials: Sequence[TrialPoint], axes: Mapping[str, ParamAxis]) -> list[str]:
    """Paths by the share of the variance of ranks that each explains by itself, largest first.

    Of a number that share is between eighths of its axis; trials that lack a param are one more.
    It is corrected for the number of groups (omega squared): many choices alone explain nothing.
    """
    stride = max(1, -(-len(trials) // _MOST))
    some = [one for one in trials[::stride] if one.value is not None]
    if len(some) < 3:
        return list(axes)
    values = np.array([one.value for one in some], dtype=np.float64)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    effects = {
        path: _explained(np.array([_group(axis, one) for one in some]), ranks)
        for path, axis in axes.items()
    }
    places = {path: index for index, path in enumerate(axes)}
    return sorted(axes, key=lambda path: (-effects[path], places[path]))


def _group(axis: ParamAxis, one: TrialPoint) -> int:
    place = place_of(axis, one.params)
    if place is None:
        return _ABSENT
    bins = len(axis.options) or _BINS
    return min(bins - 1, int(place * bins))


def _explained(groups: npt.NDArray[np.int64], ranks: npt.NDArray[np.float64]) -> float:
    _, places = np.unique(groups, return_inverse=True)
    counts = np.bincount(places).astype(np.float64)
    means = np.bincount(places, weights=ranks) / counts
    total = float(((ranks - ranks.mean()) ** 2).sum())
    between = float((counts * (means - ranks.mean()) ** 2).sum())
    left = len(ranks) - len(counts)
    if left <= 0 or total == 0:
        return 0.0
    noise = (total - between) / left
    return (between - (len(counts) - 1) * noise) / (total + noise)
