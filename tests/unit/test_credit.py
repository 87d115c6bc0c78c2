"""Credit says how rare it is to do as well as a draw did; shares of the draws follow it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tests.unit.samples import few
from tuner.search.credit import DrawnTrials, ShareRule, credits_of, earnings
from tuner.search.curve_table import Floats
from tuner.search.in_memory_storage import frozen
from tuner.search.observation import TRAINABLE
from tuner.search.trial_arrays import CachedTrial
from tuner.spec.sources import DRAWN_BY

NAN = float("nan")
RULE = ShareRule({"one": 0.5, "other": 0.5}, halved_by=20, assumed=4, sharpness=2, floor=0.1)


def finals(*values: float) -> Floats:
    """Trials that all have one value, their final one."""
    return np.array([[1.0 if value == value else NAN, value] for value in values])


def credit(values: Floats, trial: int = -1) -> float:
    """The credit of one trial, by default of the last."""
    row = trial % len(values)
    return float(credits_of(np.array([row]), values)[0])


def named(*names: str) -> np.ndarray:
    """Who drew the trials."""
    return np.array(names, dtype=object)


@pytest.mark.parametrize(("value", "found"), [(99, 6), (30.5, 1), (-1, 0)])
def test_credit_counts_doublings(value: float, found: int) -> None:
    """Of 64 the best has six, the middle one has one, the worst none."""
    assert credit(finals(*range(63), value)) == pytest.approx(found, abs=0.05)


def test_what_repeats_a_good_result_earns_less_each_time() -> None:
    """A value as good as the best is nothing new."""
    values = finals(*range(20), *[50.0] * 5)
    earned = credits_of(np.arange(20, 25), values)
    assert (np.diff(earned) < 0).all()


def test_trials_are_compared_at_the_last_rung_that_both_reached() -> None:
    """The one ahead at the third epoch was behind at the first."""
    values = np.array([[1, 0.5, 0.6, NAN], [1, 0.7, NAN, NAN], [1, 0.6, 0.7, 0.8]])
    assert credit(values) == np.log2(3 / 2)  # better than the first, not than the second


def test_what_could_not_be_trained_earns_nothing_and_is_beaten_by_all() -> None:
    """Its results, if there were some, do not count."""
    values = np.array([[0, NAN], [0, NAN], [1, 0.3], [0, NAN]])
    assert credit(values, 2) == np.log2(3)
    assert credit(values, 3) == 0


def test_what_was_stopped_before_the_first_rung_is_beaten_by_all_that_came_to_one() -> None:
    """Else who draws what is stopped at once would be judged by the survivors."""
    values = np.array([[1, 0.1], [0.5, NAN], [0, NAN], [1, 0.2], [0.5, NAN]])
    assert credit(values, 3) == np.log2(4)
    assert credit(values, 4) == np.log2(4 / 3)


def test_trials_without_a_common_rung_are_not_compared() -> None:
    """Imported trials may have an end alone, and those of the study not have come to it."""
    values = np.array([[1, NAN, 0.9]] * 9 + [[1, 0.1, NAN], [1, 0.2, NAN]])
    assert credit(values) == 1


@few
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=40), st.integers(0, 39))
def test_credit_is_of_ranks_and_of_trials_before(values: list[int], trial: int) -> None:
    """A rising function of all values changes nothing, nor does what comes later."""
    trial %= len(values)
    plain = credit(finals(*values), trial)
    assert plain == credit(finals(*(np.exp(np.array(values) / 10))), trial)
    assert plain == credit(finals(*values[: trial + 1]))
    assert 0 <= plain <= np.log2(trial + 1)


@few
@given(st.lists(st.tuples(st.sampled_from(["one", "other"]), st.integers(0, 99)), max_size=60))
def test_shares_are_a_whole_of_which_each_has_its_least(trials: list[tuple[str, int]]) -> None:
    """Whatever has happened, each of them draws again."""
    names = named(*(name for name, _ in trials))
    found = earnings(names, finals(*(value for _, value in trials)).reshape(-1, 2), RULE)
    assert sum(earned.share for earned in found.values()) == pytest.approx(1)
    assert all(earned.share >= 0.1 / 1.1 for earned in found.values())
    assert sum(earned.draws for earned in found.values()) == len(trials)


def test_whose_draws_are_better_draws_more_and_its_past_fades() -> None:
    """First the one has the better draws, then for a long time the other."""
    good, bad = np.arange(100, 160), np.arange(60)
    values = np.stack([good, bad], axis=1).ravel().astype(float)
    names = named(*["one", "other"] * 60)
    early = earnings(names[:60], finals(*values[:60]), RULE)["one"]
    assert early.share > 0.8
    values[60:] = np.stack([bad[30:], good[30:] + 100], axis=1).ravel()
    assert earnings(names, finals(*values), RULE)["other"].share > 0.8


def test_before_there_are_results_shares_are_the_first_ones() -> None:
    """And a member that had none has none later."""
    rule = ShareRule({"one": 1.0, "other": 0.0}, halved_by=20, assumed=4, sharpness=2, floor=0.1)
    found = earnings(named(), np.empty((0, 2)), RULE)
    assert [earned.share for earned in found.values()] == [0.5, 0.5]
    found = earnings(named("other", "one"), finals(1.0, 2.0), rule)
    assert [earned.share for earned in found.values()] == [1.0, 0.0]


def test_a_trial_is_read_with_who_drew_it_and_what_it_reached() -> None:
    """Less is better here; a failed trial has no result, one that breaks a bound has no value."""
    drawn = DrawnTrials([3, 9], StudyDirection.MINIMIZE)
    stopped = frozen(0, TrialState.PRUNED, steps={3: 0.5}, attrs={DRAWN_BY: "one"})
    broken = frozen(1, TrialState.PRUNED, steps={3: 0.5})
    broken.set_constraint(TRAINABLE, 1.0)
    failed = frozen(2, TrialState.FAIL, steps={3: 0.5})
    ended = frozen(3, TrialState.COMPLETE, values=[0.2], steps={3: 0.5, 9: NAN})
    trials: list[CachedTrial] = [stopped, broken, failed, ended]
    drawn.update(trials)
    assert list(drawn.drawn_by) == ["one", None, None, None]
    wanted = [[1, -0.5, NAN, NAN], [0, NAN, NAN, NAN], [NAN] * 4, [1, -0.5, NAN, -0.2]]
    assert np.array_equal(drawn.values, np.array(wanted), equal_nan=True)
