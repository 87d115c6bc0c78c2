"""What chosen trials have in common, by exact tests, and which trials are the best."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from tests.unit.samples import few
from tuner.search.contrasts import leaders, traits
from tuner.spec.space import SearchSpace
from tuner.spec.study import Objective

SPACE = SearchSpace.model_validate(
    {
        "optimizer.lr": {"float": [0, 1]},
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "augment.scale": {"choice": [[0.5, 2.0], [1.0, 1.0]]},
        "optimizer.momentum": {"float": [0, 1], "when": {"optimizer.name": "sgd"}},
    }
)


def test_a_narrow_range_is_found_with_its_counts() -> None:
    """All chosen lie within it, and of the others as many as are counted."""
    chosen = [{"optimizer.lr": value} for value in (0.4, 0.45, 0.5)]
    others = [{"optimizer.lr": k / 30} for k in range(30)]
    (found,) = traits(SPACE, chosen, others)
    assert (found.low, found.high) == (0.4, 0.5)
    assert (found.chosen_in, found.chosen) == (3, 3)
    assert (found.others_in, found.others) == (sum(0.4 <= k / 30 <= 0.5 for k in range(30)), 30)


def test_a_shift_that_separates_all_has_the_exact_chance() -> None:
    """Three above all of seven others: two of the 120 orders are as extreme."""
    chosen = [{"optimizer.lr": 0.9 + k / 100} for k in range(3)]
    others = [{"optimizer.lr": k / 10} for k in range(7)]
    (found,) = traits(SPACE, chosen, others)
    assert found.effect == 1
    assert found.p_value == pytest.approx(2 / 120)


def test_many_trials_are_compared_by_the_limit() -> None:
    """Thousands are not counted out, and the answer is as clear."""
    chosen = [{"optimizer.lr": 0.5 + k / 1000} for k in range(200)]
    others = [{"optimizer.lr": k / 1800} for k in range(1800)]
    (found,) = traits(SPACE, chosen, others)
    assert found.p_value < 1e-9
    assert found.others_in == sum(0.5 <= k / 1800 <= 0.699 for k in range(1800))


def test_a_choice_that_is_over_represented_has_fisher_s_chance() -> None:
    """Against the hypergeometric distribution, corrected for two values."""
    chosen = [{"optimizer.name": "adamw"}] * 4
    others = [{"optimizer.name": "adamw"}] * 2 + [{"optimizer.name": "sgd"}] * 14
    (found,) = traits(SPACE, chosen, others)
    assert (found.value, found.chosen_in, found.others_in) == ("adamw", 4, 2)
    assert found.p_value == pytest.approx(2 * hypergeom.sf(3, 20, 6, 4))
    assert found.effect == pytest.approx(1 - 2 / 16)


def test_lists_are_values_like_any_other() -> None:
    """A range of scales is a choice."""
    chosen: list[dict[str, Any]] = [{"augment.scale": [0.5, 2.0]}] * 3
    others: list[dict[str, Any]] = [{"augment.scale": [1.0, 1.0]}] * 9
    (found,) = traits(SPACE, chosen, others)
    assert found.value == [0.5, 2.0]


def test_a_param_is_compared_where_it_is_switched_on() -> None:
    """Trials without it do not count, and one that a single chosen trial has says nothing."""
    chosen: list[dict[str, Any]] = [
        {"optimizer.name": "sgd", "optimizer.momentum": 0.9},
        {"optimizer.name": "sgd", "optimizer.momentum": 0.8},
        {"optimizer.name": "adamw"},
    ]
    others: list[dict[str, Any]] = [
        {"optimizer.name": "sgd", "optimizer.momentum": k / 10} for k in range(5)
    ]
    found = {each.path: each for each in traits(SPACE, chosen, others)}
    assert (found["optimizer.momentum"].chosen, found["optimizer.momentum"].others) == (2, 5)
    assert "optimizer.momentum" not in {
        each.path for each in traits(SPACE, [chosen[0], chosen[2]], others)
    }


def test_what_does_not_differ_is_not_told() -> None:
    """Equal values, and params that nobody has."""
    assert traits(SPACE, [{"optimizer.lr": 0.5}] * 3, [{"optimizer.lr": 0.5}] * 9) == ()
    assert traits(SPACE, [], []) == ()


@few
@given(st.lists(st.floats(0, 1), min_size=8, max_size=30), st.randoms())
def test_the_correction_never_makes_a_chance_smaller(values: list[float], chance: Any) -> None:
    """q is between p and 1, and rises with p."""
    trials = [
        {"optimizer.lr": value, "optimizer.name": chance.choice(["sgd", "adamw"])}
        for value in values
    ]
    found = traits(SPACE, trials[:4], trials[4:])
    assert all(each.p_value <= each.q_value + 1e-12 <= 1 + 1e-9 for each in found)
    assert [each.q_value for each in found] == sorted(each.q_value for each in found)


def test_the_best_are_those_of_the_first_fronts() -> None:
    """With one objective they are ranked; with two, front after front."""
    one = [Objective(metric="miou")]
    assert leaders([(0.1,), (0.9,), (0.5,), (float("nan"),)], one, 2) == (1, 2)
    both = [Objective(metric="miou"), Objective(metric="train_loss", direction="minimize")]
    values = [(0.9, 0.9), (0.5, 0.1), (0.8, 0.95), (0.4, 0.2)]
    assert leaders(values, both, 2) == (0, 1)
    assert leaders(values, both, 3) == (0, 1, 2)
    assert leaders([(float("nan"),)], one, 3) == ()
