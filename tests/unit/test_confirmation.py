"""Ranking by fresh seeds, and telling a lead from noise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.search.confirmation import (
    LeaderResult,
    Rerun,
    compare,
    ranked_leaders,
    two_sided,
)
from tuner.service.confirmation_verdict import verdict
from tuner.spec.study import Objective, StudySpec

MIOU = Objective(metric="miou")


def result(number: int, *values: float) -> LeaderResult:
    """A leader with these values at the first seeds."""
    return LeaderResult(number, 0.5, dict(enumerate(values)), lost=0, is_feasible=True)


def reruns(leader: int, *values: float | None, **metrics: float) -> list[Rerun]:
    """Trainings of a leader with fresh seeds; None is one that failed."""
    return [
        Rerun(leader, place, {} if value is None else {"miou": value, **metrics})
        for place, value in enumerate(values)
    ]


def test_leaders_rank_by_their_fresh_seeds_alone() -> None:
    """The value that won the search does not count: it was selected for being high."""
    ranked = ranked_leaders(
        study(), {3: 0.9, 5: 0.8}, [*reruns(3, 0.60, 0.62), *reruns(5, 0.70, 0.66)]
    )
    assert [one.trial for one in ranked] == [5, 3]
    assert ranked[0].mean == pytest.approx(0.68)
    assert ranked[0].spread == pytest.approx(0.0283, abs=1e-4)


def test_a_failed_confirmation_is_counted_and_left_out() -> None:
    """A leader's mean is over the seeds that completed; one without any comes last."""
    ranked = ranked_leaders(
        study(), {1: 0.9, 2: 0.5}, [*reruns(1, None, None), *reruns(2, 0.4, None)]
    )
    assert [(one.trial, one.mean, one.lost) for one in ranked] == [(2, 0.4, 1), (1, None, 2)]


def test_a_leader_that_breaks_a_constraint_in_the_mean_ranks_below() -> None:
    """What only kept its bound by luck is not preferred for its objective."""
    bounded = study(constraints=[{"metric": "iou.car", "min": 0.5}])
    fresh = [*reruns(1, 0.9, 0.9, **{"iou.car": 0.4}), *reruns(2, 0.6, 0.6, **{"iou.car": 0.5})]
    ranked = ranked_leaders(bounded, {1: 0.9, 2: 0.6}, fresh)
    assert [(one.trial, one.is_feasible) for one in ranked] == [(2, True), (1, False)]


def test_leaders_of_several_objectives_are_told_whether_they_stay_on_the_front() -> None:
    """By the means of each objective; who breaks a bound or never completed is not on it."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    spec = study(objectives=both, constraints=[{"metric": "train_loss", "max": 0.9}])
    fresh = [
        *reruns(1, 0.9, 0.7, train_loss=0.6),
        *reruns(2, 0.5, 0.5, train_loss=0.3),
        *reruns(3, 0.7, 0.7, train_loss=0.7),
        *reruns(4, 0.95, train_loss=0.95),
        *reruns(5, None),
    ]
    ranked = ranked_leaders(spec, dict.fromkeys(range(1, 6), 0.5), fresh)
    assert [(one.trial, one.is_on_front) for one in ranked] == [
        (1, True),
        (3, False),
        (2, True),
        (4, False),
        (5, None),
    ]
    assert ranked[0].others == {"train_loss": {0: 0.6, 1: 0.6}}
    assert ranked_leaders(study(), {1: 0.9}, reruns(1, 0.6))[0].is_on_front is None


def test_a_minimized_objective_ranks_the_lowest_first() -> None:
    """The lead is counted in the objective's favour, so that it is positive."""
    spec: StudySpec = study(objectives=[{"metric": "train_loss", "direction": "minimize"}])
    fresh = [Rerun(n, s, {"train_loss": 0.1 * n + 0.01 * s}) for n in (2, 1) for s in (0, 1)]
    first, second = ranked_leaders(spec, {1: 0.2, 2: 0.1}, fresh)
    found = compare(first, second, spec.objective)
    assert first.trial == 1
    assert found is not None
    assert found.lead == pytest.approx(0.1)


def test_a_steady_lead_is_more_than_noise() -> None:
    """Pairing takes out what a seed does to both: a small steady lead counts."""
    first, second = result(1, 0.601, 0.652, 0.623), result(2, 0.590, 0.642, 0.612)
    found = compare(first, second, MIOU)
    assert found is not None
    assert (found.pairs, found.is_noise) == (3, False)


def test_a_lead_that_changes_sides_is_noise() -> None:
    """A leader that only wins with one of three seeds has not won."""
    found = compare(result(1, 0.70, 0.60, 0.61), result(2, 0.61, 0.62, 0.62), MIOU)
    assert found is not None
    assert found.is_noise


def test_one_seed_proves_nothing() -> None:
    """Without a spread there is no test, and without a shared seed no comparison."""
    found = compare(result(1, 0.7), result(2, 0.6), MIOU)
    assert found is not None
    assert (found.p_value, found.is_noise) == (None, True)
    assert compare(result(1, 0.7), result(2), MIOU) is None


@pytest.mark.parametrize(
    ("t", "freedom", "chance"),
    [(12.706, 1, 0.05), (4.303, 2, 0.05), (2.776, 4, 0.05), (2.262, 9, 0.05), (63.657, 1, 0.01)],
)
def test_chances_are_those_of_the_tables(t: float, freedom: int, chance: float) -> None:
    """Critical values of Student's distribution, as printed in every textbook."""
    assert two_sided(t, freedom) == pytest.approx(chance, abs=1e-4)


@few
@given(st.floats(0, 1e6), st.integers(1, 200))
def test_a_chance_lies_between_0_and_1(t: float, freedom: int) -> None:
    """Whatever the lead, and whichever its sign."""
    assert 0 <= two_sided(t, freedom) <= 1
    assert two_sided(-t, freedom) == two_sided(t, freedom)


def said(*leaders: LeaderResult) -> str:
    """The verdict on leaders in this order."""
    return verdict(study(), leaders, compare(leaders[0], leaders[1], MIOU), is_complete=True)


def test_the_verdict_names_who_is_ahead_and_why_another_ranks_first() -> None:
    """A lost seed moves a mean, and a broken constraint a rank: no lead is told as negative."""
    lost = LeaderResult(7, 0.5, {0: 0.9, 1: 0.5, 2: 0.52}, lost=0, is_feasible=True)
    other = LeaderResult(4, 0.5, {1: 0.56, 2: 0.58}, lost=1, is_feasible=True)
    assert said(lost, other).startswith(
        "trial 4 is ahead of trial 7 by 0.0600 over 2 paired seeds: more than noise"
    )
    assert said(lost, other).endswith("; trial 7 ranks first by the mean of all its seeds")
    broken = replace(result(4, 0.9, 0.8), is_feasible=False)
    kept = result(7, 0.5, 0.6)
    assert said(kept, broken).startswith("trial 4 is ahead of trial 7 by 0.3000")
    assert said(kept, broken).endswith("; trial 7 ranks first because trial 4 breaks a constraint")
    assert said(kept, result(4, 0.5, 0.6)).startswith("trials 7 and 4 are level over 2")
    assert "by 2.0e-06 over" in said(result(7, 0.500002, 0.500002), result(4, 0.5, 0.5))
    assert "one seed cannot tell" in said(result(7, 0.6), result(4, 0.5))


values = st.dictionaries(st.integers(0, 4), st.floats(0, 1), min_size=1)


@given(values, values, st.booleans())
def test_no_verdict_has_a_negative_lead(
    first: dict[int, float], second: dict[int, float], feasible: bool
) -> None:
    """Whatever seeds were lost, whoever keeps the constraints."""
    leaders = [
        LeaderResult(1, 0.5, first, lost=0, is_feasible=True),
        LeaderResult(2, 0.5, second, lost=0, is_feasible=feasible),
    ]
    assert "by -" not in said(*leaders)
