"""Constraints, fronts and importance."""

from dataclasses import replace
from math import log10
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import completed, few, study
from tuner.search.analysis import (
    is_feasible,
    pareto_front,
    violations,
)
from tuner.search.importance import fanova, importance
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.space import Params
from tuner.spec.study import Constraint, Objective

MIOU = (Objective(metric="miou"),)
BOTH = (Objective(metric="miou"), Objective(metric="train_loss", direction="minimize"))
POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=12)


def test_a_missing_metric_breaks_its_constraint() -> None:
    """What was not measured was not kept."""
    bounds = [Constraint(metric="dice", min=0.5), Constraint(metric="recall", max=0.9)]
    assert violations(bounds, {"dice": 0.25}) == (0.25, float("inf"))
    assert is_feasible(bounds, {"dice": 0.5, "recall": 0.9})
    assert not is_feasible(bounds, {"dice": 0.5})


@few
@given(POINTS)
def test_the_front_is_what_nothing_dominates(values: list[tuple[float, float]]) -> None:
    """The definition, pair by pair."""

    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a != b and a[0] >= b[0] and a[1] <= b[1]

    expected = [
        index
        for index, value in enumerate(values)
        if not any(beats(other, value) for other in values)
    ]
    assert list(pareto_front(values, BOTH)) == expected


@few
@given(POINTS, st.randoms())
def test_the_front_does_not_depend_on_the_order(
    values: list[tuple[float, float]], chance: Any
) -> None:
    """Shuffled trials have the same front."""
    shuffled = list(values)
    chance.shuffle(shuffled)
    before = sorted(values[index] for index in pareto_front(values, BOTH))
    assert sorted(shuffled[index] for index in pareto_front(shuffled, BOTH)) == before


def test_what_is_no_number_is_not_on_the_front() -> None:
    """NaN neither dominates nor stays."""
    assert pareto_front([(float("nan"), 0.1), (0.5, 0.5)], BOTH) == (1,)


def searched(count: int) -> list[Observation]:
    """Random trials of the sample study, of which only the learning rate matters."""
    suggester = Suggester(Rules(study(search={"sampler": "random"})))
    found = []
    for number in range(1, count):
        params = suggester.draw([], number).params
        value = -abs(params["optimizer.lr"] - 0.003) * 10
        found.append(completed(number, params, value))
    return found


def test_importance_finds_what_matters() -> None:
    """Shares by path sum to 1, and alternatives of a path count as one."""
    shares = importance(study(), searched(120))
    assert next(iter(shares)) == "optimizer.lr"
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) <= set(study().space.root)


def test_importance_of_a_conditional_param_is_known() -> None:
    """A param that only some trials have is assessed among those."""
    ranges = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.momentum": {"float": [0, 0.99], "when": {"optimizer.name": "sgd"}},
    }
    spec = study(space=ranges, search={"sampler": "random"})
    suggester = Suggester(Rules(spec))
    trials = []
    for number in range(1, 80):
        params = suggester.draw([], number).params
        trials.append(completed(number, params, params.get("optimizer.momentum", 0.2)))
    assert importance(spec, trials)["optimizer.momentum"] > 0.3


def test_fanova_tells_what_each_param_does_by_itself() -> None:
    """Two params that only matter together leave most of the variance to their interplay."""
    ranges = {
        "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
        "augment.rotate": {"float": [0, 30]},
        "augment.flip": {"float": [0, 1]},
    }
    spec = study(space=ranges, search={"sampler": "random"})
    suggester = Suggester(Rules(spec))
    drawn = [suggester.draw([], number).params for number in range(1, 200)]

    def alone(params: Params) -> float:
        return -abs(log10(params["optimizer.weight_decay"]) + 3)

    def together(params: Params) -> float:
        return float((params["augment.rotate"] > 15) == (params["augment.flip"] > 0.5))

    by_itself = fanova(spec, [completed(k, p, alone(p)) for k, p in enumerate(drawn)])
    by_two = fanova(spec, [completed(k, p, together(p)) for k, p in enumerate(drawn)])
    assert by_itself["optimizer.weight_decay"] > 0.9
    assert sum(by_two.values()) < 0.5
    assert list(by_itself) == sorted(by_itself, key=lambda path: -by_itself[path])


def test_fanova_counts_what_was_switched_off_with_the_middle() -> None:
    """A conditional param has a share, alternatives are one path, strangers are left out."""
    spec = study(search={"sampler": "random"})
    found = fanova(spec, searched(120))
    assert found == fanova(spec, [*searched(120), completed(500, {"optimizer.lr": 9.0}, -1e9)])
    assert set(found) <= set(spec.space.root)
    assert found["optimizer.lr"] + found["optimizer.name"] > 0.6
    assert sum(found.values()) <= 1 + 1e-9


def test_fanova_of_equal_or_few_trials_is_empty() -> None:
    """Where nothing differs, nothing is explained."""
    spec = study(search={"sampler": "random"})
    assert fanova(spec, searched(4)) == {}
    same = [replace(one, values=(0.5,)) for one in searched(20)]
    assert fanova(spec, same) == {}


def test_too_few_trials_have_no_importance() -> None:
    """Three trials say nothing, and say so."""
    assert importance(study(), searched(4)) == {}


def test_importance_with_several_objectives() -> None:
    """The best tenth is then the one nearest to the front."""
    spec = study(objectives=[{"metric": "miou"}, {"metric": "dice"}])
    trials = [
        Observation(one.number, one.state, one.params, ((one.values or (0.0,))[0], 0.5))
        for one in searched(60)
    ]
    assert importance(spec, trials)
