"""Pairs of params of which one's effect depends on the other's value.

A two-way analysis of variance on ranks for each pair: numbers are split at their median, choices
keep their most frequent values. Whether a pair makes more together than its two params do by
themselves is tested by permuting the residuals of the model without the interaction (Freedman and
Lane 1983), all pairs by the same permutations, so that the largest of each permutation corrects for
the number of pairs (Westfall and Young 1993). With 30 to 100 trials that finds strong interactions
and seldom invents one; a forest of pairwise fANOVA has no such bound at that size.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.spec.explanation import Interaction, InteractionCell
from tuner.spec.space import Choice, Params, SearchSpace
from tuner.wording import setting

_FEWEST_TRIALS = 16
_FEWEST_IN_CELL = 3
_MOST_LEVELS = 4
_PERMUTATIONS = 500
_MOST_PAIRS = 200
_SHOWN = 5
_ABSENT: Any = object()  # in place of a param that is switched off


@dataclass(frozen=True, eq=False)
class _Factor:
    """A param as levels: the level of each trial, -1 where it has none that counts."""

    path: str
    names: tuple[str, ...]
    levels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two factors over the trials that have both, as models without and with the interaction."""

    first: _Factor
    second: _Factor
    rows: NDArray[np.int64]
    reduced: NDArray[np.float64]  # orthonormal columns
    added: NDArray[np.float64]  # what the interaction adds to them, orthonormal too
    left: int  # degrees of freedom of the residuals


def interactions(
    space: SearchSpace, params: Sequence[Params], values: Sequence[float]
) -> tuple[int, tuple[Interaction, ...]]:
    """How many pairs have enough trials in every cell, and the strongest of them."""
    if len(values) < _FEWEST_TRIALS or len(set(values)) < 2:
        return 0, ()
    factors = [each for path in space.root if (each := _factor(space, path, params)) is not None]
    every = [pair for both in combinations(factors, 2) if (pair := _pair(*both)) is not None]
    pairs = every[:_MOST_PAIRS]
    if not pairs:
        return 0, ()
    ranks = _ranks(np.asarray(values, dtype=np.float64))
    draws = np.random.default_rng(0)
    orders = np.stack([draws.permutation(len(ranks)) for _ in range(_PERMUTATIONS)])
    tested = [_tested(pair, ranks, orders) for pair in pairs]
    highest = np.max(np.stack([permuted for _, permuted in tested]), axis=0)
    strongest = sorted(range(len(pairs)), key=lambda at: (-tested[at][0], at))
    described = [
        _described(pairs[at], np.asarray(values), ranks, int((highest >= tested[at][0]).sum()))
        for at in strongest[:_SHOWN]
    ]
    return len(pairs), tuple(described)


def _factor(space: SearchSpace, path: str, params: Sequence[Params]) -> _Factor | None:
    """A param as levels; None where it has a single one."""
    given: list[Any] = [each.get(path, _ABSENT) for each in params]
    present: list[Any] = [value for value in given if value is not _ABSENT]
    declared = all(not isinstance(each, Choice) for each in space.root[path])
    if declared and all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        return _halves(path, given, present)
    keys = [_ABSENT if value is _ABSENT else json.dumps(value, default=str) for value in given]
    counts = Counter(key for key in keys if key is not _ABSENT)
    kept = [key for key, count in counts.most_common(_MOST_LEVELS) if count >= _FEWEST_IN_CELL]
    if len(kept) < 2:
        return None
    levels = np.array([kept.index(key) if key in kept else -1 for key in keys])
    return _Factor(path, tuple(setting(json.loads(str(key))) for key in kept), levels)


def _halves(path: str, given: Sequence[Any], present: Sequence[float]) -> _Factor | None:
    """Numbers up to their median, and above."""
    if len(set(present)) < 2:
        return None
    middle = float(np.median(present))
    if middle == max(present):  # more than half of them are the largest
        middle = max(value for value in present if value < middle)
    levels = np.array([-1 if value is _ABSENT else int(value > middle) for value in given])
    return _Factor(path, (f"≤ {setting(middle)}", f"> {setting(middle)}"), levels)


def _pair(first: _Factor, second: _Factor) -> _Pair | None:
    """The two models of a pair; None where a cell has too few trials."""
    rows = np.flatnonzero((first.levels >= 0) & (second.levels >= 0))
    one, other = first.levels[rows], second.levels[rows]
    wide, tall = len(first.names), len(second.names)
    cells = np.bincount(one * tall + other, minlength=wide * tall)
    if len(rows) < _FEWEST_TRIALS or cells.min() < _FEWEST_IN_CELL:
        return None
    alone = np.column_stack(
        [np.ones(len(rows)), np.eye(wide)[one][:, 1:], np.eye(tall)[other][:, 1:]]
    )
    together = np.eye(wide * tall)[one * tall + other]
    reduced, _ = np.linalg.qr(alone)
    rest = together - reduced @ (reduced.T @ together)
    basis, sizes, _ = np.linalg.svd(rest, full_matrices=False)
    added = basis[:, sizes > 1e-9]
    if not added.shape[1]:
        return None
    left = len(rows) - reduced.shape[1] - added.shape[1]
    return _Pair(first, second, rows, reduced, added, left) if left > 0 else None


def _tested(
    pair: _Pair, ranks: NDArray[np.float64], orders: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """The statistic of a pair, -log10 of the F-test's p, as it is and over permutations."""
    from scipy.stats import f as f_distribution  # a second to import

    kept = ranks[pair.rows]
    fitted = pair.reduced @ (pair.reduced.T @ kept)
    residuals = kept - fitted
    # The same order of trials for every pair, as far as the pair has them.
    position = np.full(len(ranks), -1)
    position[pair.rows] = np.arange(len(pair.rows))
    mapped = position[orders]
    columns = np.stack([row[row >= 0] for row in mapped], axis=1)  # n × permutations
    every = np.column_stack([kept, fitted[:, None] + residuals[columns]])
    every -= pair.reduced @ (pair.reduced.T @ every)
    explained = ((pair.added.T @ every) ** 2).sum(axis=0)
    left = np.maximum((every**2).sum(axis=0) - explained, 1e-12)
    degrees = pair.added.shape[1]
    ratios = (explained / degrees) / (left / pair.left)
    strength = -f_distribution.logsf(ratios, degrees, pair.left) / np.log(10)
    return float(strength[0]), strength[1:]


def _described(
    pair: _Pair, values: NDArray[np.float64], ranks: NDArray[np.float64], beaten: int
) -> Interaction:
    kept = ranks[pair.rows]
    centred = kept - kept.mean()
    explained = float(((pair.added.T @ centred) ** 2).sum())
    one, other = pair.first.levels[pair.rows], pair.second.levels[pair.rows]
    cells = []
    for i, mine in enumerate(pair.first.names):
        for j, theirs in enumerate(pair.second.names):
            inside = values[pair.rows][(one == i) & (other == j)]
            mean = float(inside.mean())
            cells.append(InteractionCell(levels=(mine, theirs), trials=len(inside), mean=mean))
    return Interaction(
        paths=(pair.first.path, pair.second.path),
        effect=explained / max(float((centred**2).sum()), 1e-12),
        p_value=(beaten + 1) / (_PERMUTATIONS + 1),
        cells=tuple(cells),
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(values).astype(np.float64)
    return ranks
