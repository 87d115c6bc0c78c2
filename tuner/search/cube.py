"""Params as points of the unit cube, many at once; conditions are masks over such arrays.

A coordinate stands for one alternative of a path that has more than one value, on the scale on
which it is searched. Where a condition does not hold, the coordinate is in the middle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from tuner.optuna_encoding import distribution, optuna_name, to_optuna
from tuner.search.curve_table import Floats
from tuner.search.units import from_unit, parts, snapped, to_unit
from tuner.spec.space import AnyDimension, SearchSpace

Flags = NDArray[np.bool_]
MIDDLE = 0.5
_EQUAL = 1e-9  # shares this close are those of one value


@dataclass(frozen=True, slots=True)
class _Cause:
    """One alternative that a condition asks for, and the shares at which the condition holds.

    `shares` None: it has a single value, which is an allowed one.
    """

    name: str
    shares: Floats | None


class UnitCube:
    """The points of some distributions by Optuna's name; shapes below are points × coordinates."""

    def __init__(
        self,
        known: Mapping[str, BaseDistribution],
        conditions: Mapping[str, Sequence[Sequence[_Cause]]] | None = None,
    ) -> None:
        self.distributions = {name: each for name, each in known.items() if not each.single()}
        self.names = tuple(self.distributions)
        self.is_choice: Flags = np.array(
            [isinstance(each, CategoricalDistribution) for each in self.distributions.values()],
            dtype=bool,
        )
        # Of every alternative, those with a single value too: others may depend on them.
        self._conditions = {} if conditions is None else dict(conditions)
        self._place = {name: place for place, name in enumerate(self.names)}

    @classmethod
    def of(cls, space: SearchSpace) -> "UnitCube":
        """The cube of a study's space, its coordinates in the order of `varying`."""
        known, conditions = dict[str, BaseDistribution](), dict[str, list[list[_Cause]]]()
        for path, index, dimension in space.dimensions():
            name = optuna_name(space, path, index)
            known[name] = distribution(dimension)
            if space.is_conditional:
                conditions[name] = [
                    _causes(space, asked, allowed) for asked, allowed in dimension.when.items()
                ]
        return cls(dict(sorted(known.items())), conditions)

    def __len__(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    def active(self, points: Floats) -> Flags:
        """Which coordinates the conditions switch on, at points with their values in place."""
        found = np.ones(points.shape, dtype=bool)
        masks: dict[str, Flags] = {}
        for name, conditions in self._conditions.items():  # what they ask for stands before them
            mask = np.ones(len(points), dtype=bool)
            for causes in conditions:
                holds = [self._holds(cause, points, masks) for cause in causes]
                mask &= np.logical_or.reduce(holds, axis=0)
            masks[name] = mask
            if name in self._place:
                found[:, self._place[name]] = mask
        return found

    def snap(self, points: Floats) -> Floats:
        """The nearest points that are some params: on the grids, in the middle what is off."""
        found = np.clip(points, 0.0, 1.0)
        for place, each in enumerate(self.distributions.values()):
            found[:, place] = snapped(each, found[:, place])
        if self._conditions:
            found[~self.active(found)] = MIDDLE
        return found

    def shares(self, values: Mapping[str, Any]) -> list[float]:
        """The coordinates of Optuna's params; not a number where there is no value for one."""
        return [
            _share(each, values[name]) if name in values else nan
            for name, each in self.distributions.items()
        ]

    def whole(self, points: Floats) -> tuple[Floats, Flags]:
        """Points of `shares` with the middle for what is off, and which of them lack nothing."""
        found = np.nan_to_num(points, nan=MIDDLE)
        active = self.active(np.nan_to_num(points, nan=-1.0))
        found[~active] = MIDDLE
        return found, np.asarray(~(np.isnan(points) & active).any(axis=1))

    def values(self, point: Floats) -> dict[str, Any]:
        """Optuna's params at a point, of every coordinate."""
        pairs = zip(self.distributions.items(), point.tolist(), strict=True)
        return {name: from_unit(each, share) for (name, each), share in pairs}

    def grids(self, most: int) -> list[Floats]:
        """The shares of each coordinate's values; none where there are more than `most`."""
        found = []
        for each in self.distributions.values():
            count = parts(each)
            shares = (np.arange(count) + 0.5) / count if count and count <= most else np.empty(0)
            found.append(shares)
        return found

    def _holds(self, cause: _Cause, points: Floats, masks: Mapping[str, Flags]) -> Flags:
        if cause.shares is None:
            return masks[cause.name]
        column = points[:, self._place[cause.name], np.newaxis]
        return np.asarray(masks[cause.name] & (np.abs(column - cause.shares) < _EQUAL).any(axis=1))


def _causes(space: SearchSpace, asked: str, allowed: Sequence[Any]) -> list[_Cause]:
    """What makes a condition hold: one of the alternatives of the path that it asks for."""
    found = []
    for index, dimension in enumerate(space.root[asked]):
        shares = _allowed_shares(dimension, allowed)
        if len(shares):
            is_single = distribution(dimension).single()
            name = optuna_name(space, asked, index)
            found.append(_Cause(name, None if is_single else shares))
    return found


def _allowed_shares(dimension: AnyDimension, allowed: Sequence[Any]) -> Floats:
    known = distribution(dimension)
    return np.array(
        [to_unit(known, to_optuna(dimension, v)) for v in allowed if dimension.contains(v)]
    )


def _share(known: BaseDistribution, value: Any) -> float:
    """The share of a value; not a number where the distribution does not have the value."""
    try:
        is_inside = known._contains(known.to_internal_repr(value))
    except ValueError:  # not one of the choices
        return nan
    return to_unit(known, value) if is_inside else nan
