"""Trials become rows of a model: what counts as a result, on what scale, and which are kept."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.search.cube import UnitCube
from tuner.search.curve_table import Floats
from tuner.search.observation import Observation, Translator
from tuner.search.rung_results import (
    RungResults,
    as_rows,
    kept,
    slacks,
    standardised,
)
from tuner.spec.states import TrialState

SPEC = study(
    space={
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.momentum": {"float": [0.0, 1.0], "when": {"optimizer.name": "sgd"}},
    }
)
CUBE = UnitCube.of(SPEC.space)
SGD = {"optimizer.name": "sgd", "optimizer.momentum": 0.25}
NAN = float("nan")


def results(*seen: Observation) -> RungResults:
    """Of trials with rungs at 2 and 6 epochs."""
    found = RungResults(CUBE, (2, 6), 1)
    found.update([Translator(SPEC).trial(each) for each in seen])
    return found


def test_a_trial_has_a_value_at_each_rung_that_it_reached() -> None:
    """And its final one where it completed; whatever became of it after."""
    found = results(
        Observation(0, TrialState.COMPLETED, SGD, (0.9,), {2: 0.1, 6: 0.6, 20: 0.9}),
        Observation(1, TrialState.PRUNED, SGD, (0.3,), {2: 0.2, 5: 0.3}),
        Observation(2, TrialState.PAUSED, SGD, None, {2: 0.4, 6: 0.5}),
        Observation(3, TrialState.RUNNING, SGD, None, {1: 0.4}),
        Observation(4, TrialState.FAILED, SGD, None, {2: 0.4}),
        Observation(5, TrialState.COMPLETED, SGD, (NAN,), {2: NAN}),
    )
    none = [NAN] * 3
    expected = [[0.1, 0.6, 0.9], [0.2, NAN, NAN], [0.4, 0.5, NAN], none, none, none]
    np.testing.assert_array_equal(found.values, expected)


def test_what_trains_or_waits_is_open() -> None:
    """A paused trial is not: nobody works on it."""
    states = [TrialState.RUNNING, TrialState.WAITING, TrialState.PAUSED, TrialState.COMPLETED]
    found = results(*(Observation(n, state, SGD, (0.5,)) for n, state in enumerate(states)))
    assert found.is_open.tolist() == [True, True, False, False]


def test_a_trial_that_lacks_what_is_active_is_not_whole() -> None:
    """It was drawn from another space; adamw has no momentum to lack."""
    params: list[dict[str, Any]] = [SGD, {"optimizer.name": "adamw"}, {"optimizer.name": "sgd"}, {}]
    found = results(*(Observation(n, TrialState.RUNNING, each) for n, each in enumerate(params)))
    assert found.is_whole.tolist() == [True, True, False, False]
    assert found.points[:2].tolist() == [[0.25, 0.25], [0.5, 0.75]]


def test_a_trial_is_broken_where_one_of_its_bounds_is() -> None:
    """A bound that is just kept is kept."""
    broken = [(0.0, 0.1), (0.0, 0.0), (), (NAN, 0.0)]
    found = results(
        *(Observation(n, TrialState.RUNNING, SGD, constraints=b) for n, b in enumerate(broken)),
        Observation(4, TrialState.FAILED, SGD, trainable=False),
    )
    assert found.is_broken.tolist() == [True, False, False, True, True]


def test_what_has_changed_is_read_again() -> None:
    """Trials that are replaced, that come, and that go."""
    translator, found = Translator(SPEC), RungResults(CUBE, (2, 6), 1)
    old = [translator.trial(Observation(n, TrialState.RUNNING, SGD, None)) for n in range(3)]
    new = translator.trial(Observation(1, TrialState.COMPLETED, SGD, (0.5,), {2: 0.25}))
    assert found.update(old) == [0, 1, 2]
    assert found.update([old[0], new, old[2], old[0]]) == [1, 3]
    assert found.values[1].tolist()[::2] == [0.25, 0.5]
    assert found.is_open.tolist() == [True, False, True, True]
    assert found.update([old[0]]) == []
    assert found.numbers.tolist() == [0]


def test_a_rung_is_measured_by_its_median() -> None:
    """What is far below it is cut off as far as the best is above."""
    values = np.array([[1.0], [2.0], [3.0], [4.0], [-100.0]])
    found = standardised(values)[:, 0]
    assert found[1] == 0
    assert found[4] == -found[3]
    spread = np.std([1.0, 2.0, 3.0, 4.0, 0.0])
    assert found[2] == pytest.approx(1 / spread)
    whole = standardised(values, clipped=False)[:, 0]
    assert whole[4] == pytest.approx(-102 / values.std())


def test_a_rung_of_few_is_measured_by_the_one_below() -> None:
    """Two values have hardly a spread of their own."""
    values = np.full((20, 2), NAN)
    values[:, 0] = np.linspace(0, 1, 20)
    values[:2, 1] = 0.5, 0.6
    found = standardised(values)
    assert found[1, 1] - found[0, 1] == pytest.approx(0.1 / values[:, 0].std())


def test_equal_values_are_no_reason_to_divide_by_nothing() -> None:
    """They are all in the middle; a rung that nobody reached stays empty."""
    found = standardised(np.array([[0.5, NAN]] * 10))
    assert not found[:, 0].any()
    assert np.isnan(found[:, 1]).all()


@pytest.mark.parametrize("first", [0.0, 1e-12])
def test_a_rung_of_few_above_one_of_nearly_equal_values_has_its_own_spread(first: float) -> None:
    """No trial has learnt anything by the first rung, which is the scale of nothing."""
    values = np.full((20, 2), NAN)
    values[:, 0] = np.linspace(0, first, 20)
    values[:3, 1] = 0.3, 0.5, 0.6
    expected = np.array([-0.1, 0.0, 0.1]) / np.std([0.4, 0.5, 0.6])
    assert standardised(values)[:3, 1] == pytest.approx(expected)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([-600, -30, 30, 300]), st.booleans())
def test_the_unit_of_values_changes_nothing(seed: int, power: int, clipped: bool) -> None:
    """A loss in billionths is searched like one in billions."""
    values = curves(seed, 40)
    scaled = standardised(values * 2.0**power, clipped=clipped)
    np.testing.assert_array_equal(scaled, standardised(values, clipped=clipped))


def test_values_that_differ_by_rounding_are_equal() -> None:
    """Which of them is greatest says nothing."""
    values = 1e6 + np.array([[0.0], [1e-9], [-1e-9], [2e-9]])
    assert not standardised(values).any()


@pytest.mark.parametrize("clipped", [True, False])
def test_values_at_the_ends_of_what_a_number_can_be(clipped: bool) -> None:
    """A loss that ran away is bad and no more than that."""
    found = standardised(np.array([[-1.7e308], [1.7e308], [1.0], [2.0], [1e-308]]), clipped=clipped)
    assert np.isfinite(found).all()
    assert found[0, 0] < found[4, 0] < found[1, 0]


SEEDS = st.integers(0, 2**32 - 1)


def curves(seed: int, count: int) -> Floats:
    """Values of trials at three rungs, of which each was reached by a third of those before."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 3))
    values[rng.random(count) < 0.66, 1:] = NAN
    values[rng.random(count) < 0.66, 2] = NAN
    values[rng.random(count) < 0.1] = NAN
    return values


@few
@given(SEEDS, st.integers(20, 400))
def test_of_many_results_whole_trials_are_kept(seed: int, most: int) -> None:
    """Each once, no more than asked for, and all where there is room."""
    values = curves(seed, 300)
    found = kept(values, most)
    counts = np.isfinite(values).sum(axis=1)
    assert len(set(found)) == len(found)
    assert counts[found].all()
    assert counts[found].sum() <= most
    assert counts[found].sum() > most - 6 or counts.sum() <= most
    assert set(kept(values, 10_000)) == set(np.flatnonzero(counts))


@few
@given(SEEDS)
def test_the_best_of_the_highest_rung_and_the_latest_are_kept(seed: int) -> None:
    """What is to be beaten, and what has just been learnt."""
    values = curves(seed, 300)
    found = kept(values, 60)
    assert np.nanargmax(values[:, 2]) in found
    assert np.flatnonzero(np.isfinite(values).any(axis=1))[-1] in found


def test_results_stand_one_by_one() -> None:
    """Each with its trial's point and number, and its rung."""
    rows, values = as_rows(
        np.array([[0.1], [0.2]]), np.array([7, 9]), np.array([[1.0, 2.0], [3.0, NAN]])
    )
    assert values.tolist() == [1.0, 2.0, 3.0]
    assert rows.points[:, 0].tolist() == [0.1, 0.1, 0.2]
    assert rows.rungs.tolist() == [0, 1, 0]
    assert rows.trials.tolist() == [7, 7, 9]


def test_a_slack_is_above_0_where_a_bound_is_kept() -> None:
    """Below, more where it is broken by more; infinitely far counts as far."""
    violations = [{"0": 0.0}, {"0": 0.1}, {"0": 2.0}, {"0": 1e12}, {"1": 5.0}, {}]
    found = slacks(violations, "0")
    assert found[0] == 1
    assert 0 > found[1] > found[2] > found[3] >= -3
    assert np.isnan(found[4:]).all()
