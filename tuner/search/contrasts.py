"""What some trials have in common that the others have not, param by param."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner.search.analysis import pareto_front
from tuner.spec.explanation import Trait
from tuner.spec.space import Choice, Params, SearchSpace
from tuner.spec.study import Objective

_EXACT = 10_000  # pairs of a chosen and another trial; above it the limit is as good
_FEWEST = 2  # chosen trials that have a param; of fewer nothing is common


def traits(
    space: SearchSpace, chosen: Sequence[Params], others: Sequence[Params]
) -> tuple[Trait, ...]:
    """One trait for each param that both have and that differs, the clearest first.

    Numbers are compared by the two-sample Kolmogorov-Smirnov test, which sees a shift as well as a
    narrower range; choices by Fisher's exact test of the value that is over-represented most,
    corrected for the number of values. Both are exact for few trials, the first is a limit for
    many. Trials that a sampler drew are not independent of each other: p-values are a guide, not a
    proof.
    """
    found = []
    for path in space.root:
        mine = [params[path] for params in chosen if path in params]
        theirs = [params[path] for params in others if path in params]
        if len(mine) < _FEWEST or not theirs or len({_key(v) for v in (*mine, *theirs)}) < 2:
            continue
        compare = _by_range if _is_numeric(space, path, (*mine, *theirs)) else _by_value
        found.append(compare(path, mine, theirs))
    return _corrected(found)


def leaders(
    values: Sequence[Sequence[float]], objectives: Sequence[Objective], count: int
) -> tuple[int, ...]:
    """Positions of the best so many: front after front, within one by the first objective."""
    left = list(range(len(values)))
    best: list[int] = []
    while left and len(best) < count:
        front = [left[at] for at in pareto_front([values[at] for at in left], objectives)]
        if not front:
            break  # the rest is not finite
        best += sorted(front, key=lambda at: (objectives[0].key(values[at][0]), at))
        left = [at for at in left if at not in front]
    return tuple(best[:count])


def _is_numeric(space: SearchSpace, path: str, values: Sequence[Any]) -> bool:
    declared = all(not isinstance(each, Choice) for each in space.root[path])
    return declared and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _by_range(path: str, mine: Sequence[float], theirs: Sequence[float]) -> Trait:
    from scipy.stats import ks_2samp  # a second to import, which a server need not wait for

    low, high = min(mine), max(mine)
    exact = len(mine) * len(theirs) <= _EXACT
    tested = ks_2samp(mine, theirs, method="exact" if exact else "asymp")
    return Trait(
        path=path,
        low=low,
        high=high,
        chosen_in=len(mine),
        chosen=len(mine),
        others_in=sum(low <= value <= high for value in theirs),
        others=len(theirs),
        effect=float(tested.statistic),
        p_value=float(tested.pvalue),
        q_value=1.0,
    )


def _by_value(path: str, mine: Sequence[Any], theirs: Sequence[Any]) -> Trait:
    from scipy.stats import fisher_exact

    values = {_key(value): value for value in (*mine, *theirs)}
    ours, rest = Counter(map(_key, mine)), Counter(map(_key, theirs))

    def chance(key: str) -> float:
        table = [[ours[key], len(mine) - ours[key]], [rest[key], len(theirs) - rest[key]]]
        return float(fisher_exact(table, alternative="greater").pvalue)

    chances: Mapping[str, float] = {key: chance(key) for key in sorted(values)}
    key = min(chances, key=lambda each: (chances[each], -ours[each]))
    return Trait(
        path=path,
        value=values[key],
        chosen_in=ours[key],
        chosen=len(mine),
        others_in=rest[key],
        others=len(theirs),
        effect=ours[key] / len(mine) - rest[key] / len(theirs),
        p_value=min(1.0, chances[key] * len(values)),
        q_value=1.0,
    )


def _corrected(found: Sequence[Trait]) -> tuple[Trait, ...]:
    """With q-values after Benjamini and Hochberg 1995, sorted by them."""
    ordered = sorted(found, key=lambda each: (each.p_value, -each.effect, each.path))
    ranks = np.arange(1, len(ordered) + 1)
    raw = np.array([each.p_value for each in ordered]) * len(ordered) / ranks
    least = np.minimum.accumulate(raw[::-1])[::-1] if len(ordered) else raw
    return tuple(
        each.model_copy(update={"q_value": min(1.0, float(q))})
        for each, q in zip(ordered, least, strict=True)
    )


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
