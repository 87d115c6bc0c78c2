"""The point that promises most, among those that are not crowded with trials already.

A cliff elsewhere makes a model think that a few percent from trained points all is open, so that
half of a budget would go into one place: so many trials may lie near each other, and no more.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import KDTree

from tuner.search.cube import Flags, UnitCube
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import Integers

_EVEN, _CORNERED = 400, 200  # candidates spread evenly, and with coordinates moved to a bound
_TO_A_BOUND = 0.3
_SPREADS, _MOVES = (0.2, 0.05), 16  # steps around a leader, and candidates for each
_MOVED, _FEWEST_MOVED, _SWITCHED = 0.3, 2, 0.15  # share of coordinates, their number, of choices
_CLIMBS, _APART, _CLIMB_STEPS = 4, 0.1, 30
_ROUNDS = 3  # of looking at all neighbours on the grid
_LISTED = 32  # values of a coordinate that count as few
_NEAR, _AROUND = 0.1, 0.25  # distances along every coordinate
_MORE = 2.5  # times as many trials may be within the second as within the first
_EQUAL = 1e-9  # distance of points that are the same, rounding aside
_CHOICES_APART = 1e4  # times as far as numbers: beyond every distance
_USUAL = 7  # coordinates for which the distances are meant
_FIRST_LOOK, _LOOK = 4, 32  # candidates that are looked at at once, from the best on
_LEAF = 256  # trials that are compared one by one
_FREE, _CROWDED, _TAKEN = 0, 1, 2


class Promising(Protocol):
    """What is to be maximised."""

    def values(self, points: Floats) -> Floats:
        """Of each point."""

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Of each point, with its change along each coordinate."""


class Crowd:
    """The points of all trials; where `most` of them are near, it is crowded (0: it never is).

    Trials are near each other within a distance along every coordinate; with different choices
    they never are.
    """

    def __init__(self, points: Floats, is_choice: Flags, most: int) -> None:
        self._scale = np.where(is_choice, _CHOICES_APART, 1.0)
        self._tree = _tree(points * self._scale) if points.size else None
        self._limits = list[tuple[float, float]]()
        if most:
            # With fewer numbers than usual the distances take as little of the cube.
            smaller = max(1.0, _USUAL / max(1, int((~is_choice).sum())))
            near, around = (0.5 * (2 * wide) ** smaller for wide in (_NEAR, _AROUND))
            self._limits = [(near, most), (around, _MORE * most)]

    def levels(self, points: Floats) -> Integers:
        """0 where there is room, 1 where it is crowded, 2 where a trial is."""
        found = np.full(len(points), _FREE, dtype=np.intp)
        if self._tree is not None:
            for radius, most in self._limits:
                found[self._near(points, radius * (1 - _EQUAL)) >= most] = _CROWDED
            found[self._near(points, _EQUAL) > 0] = _TAKEN
        return found

    def _near(self, points: Floats, radius: float) -> Integers:
        """How many trials are within a distance of each point."""
        assert self._tree is not None
        scaled = points * self._scale
        found = self._tree.query_ball_point(scaled, radius, p=np.inf, return_length=True)
        return np.asarray(found, dtype=np.intp)


def _tree(points: Floats) -> KDTree:
    """One that is quickly made, because few points are looked for in it."""
    return KDTree(points, leafsize=_LEAF, compact_nodes=False, balanced_tree=False)


def best_point(
    promise: Promising, cube: UnitCube, leaders: Floats, crowd: Crowd, rng: np.random.Generator
) -> Floats:
    """The best that was found; in a crowd, or taken, only where nothing else is.

    `leaders` are points to look around.
    """
    candidates = _candidates(cube, leaders, rng)
    values = promise.values(candidates)
    starts = _starts(candidates, values, crowd)
    climbed = np.array([_climbed(promise, cube, start) for start in starts])
    pool = np.concatenate([starts, climbed])
    best, rank = _best(promise, pool, crowd)
    for _ in range(_ROUNDS):
        around = _neighbours(cube, best)
        if not len(around):
            break
        other, other_rank = _best(promise, around, crowd)
        if other_rank >= rank:
            break
        best, rank = other, other_rank
    return best


def _candidates(cube: UnitCube, leaders: Floats, rng: np.random.Generator) -> Floats:
    size = len(cube)
    cornered = rng.random((_CORNERED, size))
    to_bound = rng.random(cornered.shape) < _TO_A_BOUND
    found = [rng.random((_EVEN, size)), np.where(to_bound, np.round(cornered), cornered)]
    share = max(_MOVED, _FEWEST_MOVED / max(1, size))
    for leader in leaders:
        for spread in _SPREADS:
            shape = (_MOVES, size)
            moved = leader + rng.normal(0, spread, shape) * (rng.random(shape) < share)
            switched = np.where(rng.random(shape) < _SWITCHED, rng.random(shape), leader)
            found.append(np.where(cube.is_choice, switched, moved))
    return cube.snap(np.concatenate(found))


def _starts(candidates: Floats, values: Floats, crowd: Crowd) -> Floats:
    """The best candidates with room around them that differ from each other."""
    chosen: list[Floats] = []
    for rows in _from_the_best(values):
        points = candidates[rows]
        points = points[[_is_apart(point, chosen) for point in points]]
        for point in points[crowd.levels(points) == _FREE]:
            if _is_apart(point, chosen):
                chosen.append(point)
            if len(chosen) == _CLIMBS:
                return np.array(chosen)
    return np.array([*chosen, candidates[np.argmax(values)]])


def _is_apart(point: Floats, others: Sequence[Floats]) -> bool:
    return all(np.abs(point - other).max(initial=0.0) > _APART for other in others)


def _from_the_best(values: Floats) -> Iterator[Integers]:
    """Places by value, some at a time and then more, because the first will do most often."""
    order = np.argsort(-values, kind="stable")
    begin, look = 0, _FIRST_LOOK
    while begin < len(order):
        yield order[begin : begin + look]
        begin, look = begin + look, min(2 * look, _LOOK)


def _climbed(promise: Promising, cube: UnitCube, start: Floats) -> Floats:
    """The top near a point: its numbers move, what is a choice or switched off does not."""
    is_free = ~cube.is_choice & cube.active(start[np.newaxis])[0]
    if not is_free.any():
        return start
    point = start.copy()

    def below(numbers: Floats) -> tuple[float, Floats]:
        point[is_free] = numbers
        values, slopes = promise.slopes(point[np.newaxis])
        return -float(values[0]), -slopes[0, is_free]

    bounds = [(0.0, 1.0)] * int(is_free.sum())
    options = {"maxiter": _CLIMB_STEPS}
    found = minimize(
        below, start[is_free], jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    point[is_free] = found.x
    return np.asarray(cube.snap(point[np.newaxis])[0])


def _neighbours(cube: UnitCube, point: Floats) -> Floats:
    """Points with one coordinate on another of its few values."""
    active, found = cube.active(point[np.newaxis])[0], list[Floats]()
    for place, grid in enumerate(cube.grids(_LISTED)):
        if not active[place]:
            continue
        for share in grid:
            moved = point.copy()
            moved[place] = share
            found.append(moved)
    return cube.snap(np.array(found)) if found else np.empty((0, len(point)))


def _best(promise: Promising, points: Floats, crowd: Crowd) -> tuple[Floats, tuple[int, float]]:
    """The best of some points, and its rank, of which less is better: room before promise."""
    values, found = promise.values(points), list[tuple[int, int]]()
    for rows in _from_the_best(values):
        levels = crowd.levels(points[rows])
        found.append((int(levels.min()), int(rows[levels.argmin()])))
        if found[-1][0] == _FREE:
            break
    level, place = min(found, key=itemgetter(0))
    return points[place], (level, -float(values[place]))
