"""Pairs of params that work together are found, and seldom invented."""

from collections.abc import Callable

import numpy as np
import pytest

from tuner.search.interactions import interactions
from tuner.spec.space import Params, SearchSpace

SPACE = SearchSpace.model_validate(
    {
        "optimizer.lr": {"float": [0.001, 1], "log": True},
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "augment.rotate": {"int": [0, 30]},
        "augment.flip": {"float": [0, 1]},
    }
)


def drawn(count: int, seed: int) -> tuple[list[Params], np.ndarray]:
    """Random params, and noise to add to what they make."""
    numbers = np.random.default_rng(seed)
    params: list[Params] = [
        {
            "optimizer.lr": float(10 ** numbers.uniform(-3, 0)),
            "optimizer.name": str(numbers.choice(["sgd", "adamw"])),
            "augment.rotate": int(numbers.integers(0, 31)),
            "augment.flip": float(numbers.uniform()),
        }
        for _ in range(count)
    ]
    return params, numbers.normal(size=count)


def value_by(
    rule: Callable[[Params], float], params: list[Params], noise: np.ndarray
) -> list[float]:
    """What a rule makes of each, with noise."""
    return [rule(each) + float(extra) for each, extra in zip(params, noise, strict=True)]


def together(params: Params) -> float:
    """Each optimizer wants its own learning rate."""
    return 2.0 if (params["optimizer.lr"] > 0.03) == (params["optimizer.name"] == "sgd") else 0.0


def alone(params: Params) -> float:
    """Both matter, each by itself."""
    return 2.0 * float(params["optimizer.lr"] > 0.03) + 2.0 * float(
        params["optimizer.name"] == "sgd"
    )


def test_a_pair_that_works_together_is_found() -> None:
    """With its cells, which say how; nothing else passes for one."""
    params, noise = drawn(60, 1)
    pairs, found = interactions(SPACE, params, value_by(together, params, noise))
    assert pairs == 6
    assert found[0].paths == ("optimizer.lr", "optimizer.name")
    assert found[0].p_value < 0.01
    assert found[0].effect > 0.2
    assert found[1].p_value > 0.05
    assert sum(cell.trials for cell in found[0].cells) == 60
    means = {cell.levels: cell.mean for cell in found[0].cells}
    low, high = sorted({one for one, _ in means}, reverse=True)[::-1]
    assert {low[0], high[0]} == {"≤", ">"}
    by = {(one[0], other): mean for (one, other), mean in means.items()}
    assert by[">", "sgd"] > by["≤", "sgd"]
    assert by[">", "adamw"] < by["≤", "adamw"]


def test_effects_of_each_alone_are_not_an_interaction() -> None:
    """Over twenty studies of forty trials, the most significant pair is rarely below 5 %."""
    small = 0
    for seed in range(20):
        params, noise = drawn(40, seed)
        _, found = interactions(SPACE, params, value_by(alone, params, noise))
        small += found[0].p_value <= 0.05
    assert small <= 4  # of 20, with a chance of 5 % each: 4 or fewer in 99.7 %


def test_the_effect_is_that_of_a_two_way_analysis_of_variance() -> None:
    """On a balanced table of ranks, by hand: the interaction's share of the sum of squares."""
    space = SearchSpace.model_validate(
        {"augment.flip": {"choice": [0, 1]}, "optimizer.name": {"choice": ["sgd", "adamw"]}}
    )
    params: list[Params] = [
        {"augment.flip": a, "optimizer.name": b} for a in (0, 1) for b in ("sgd", "adamw")
    ] * 5
    values = np.random.default_rng(3).normal(size=20)
    _, (found,) = interactions(space, params, values.tolist())
    ranks = values.argsort().argsort() + 1.0
    table = np.array([ranks[k::4].mean() for k in range(4)]).reshape(2, 2)
    inside = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    expected = 5 * (inside**2).sum() / ((ranks - ranks.mean()) ** 2).sum()
    assert found.effect == pytest.approx(expected)


def test_the_same_trials_give_the_same_answer() -> None:
    """Permutations are drawn from a fixed seed."""
    params, noise = drawn(30, 5)
    values = value_by(together, params, noise)
    assert interactions(SPACE, params, values) == interactions(SPACE, params, values)


def test_too_few_trials_say_nothing() -> None:
    """Fifteen trials, equal values, or a combination that was hardly tried."""
    params, noise = drawn(15, 1)
    assert interactions(SPACE, params, noise.tolist()) == (0, ())
    params, noise = drawn(40, 1)
    assert interactions(SPACE, params, [0.5] * 40) == (0, ())
    tied: list[Params] = [
        {"optimizer.name": "sgd", "augment.rotate": 0},
        {"optimizer.name": "adamw", "augment.rotate": 30},
    ] * 20
    assert interactions(SPACE, tied, noise.tolist()) == (0, ())


def test_a_param_that_is_switched_off_counts_where_it_is_on() -> None:
    """A conditional param is paired over the trials that have it."""
    params, noise = drawn(60, 2)
    for each in params[:30]:
        del each["augment.flip"]
    _, found = interactions(SPACE, params, noise.tolist())
    totals = {each.paths: sum(cell.trials for cell in each.cells) for each in found}
    assert all(total == (30 if "augment.flip" in paths else 60) for paths, total in totals.items())
