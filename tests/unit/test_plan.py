"""What a study may cost, before anything is trained."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.search.plan import device_hours, plan, wall_hours
from tuner.search.rules import Rules
from tuner.spec.study import StudySpec


def halving(trials: int, epochs: int, pruner: Any = "promote", **search: Any) -> StudySpec:
    """A study with this pruner."""
    return study(
        base={"training": {"epochs": epochs}},
        search={"trials": trials, "pruner": pruner, **search},
    )


def test_one_in_eta_goes_beyond_each_rung() -> None:
    """27 trials, rungs at 3, 9 and 27 of 52 epochs: 27, 9, 3 and 1 are trained so far."""
    found = plan(Rules(halving(27, 52, {"name": "promote", "min_step": 3})))
    assert found.stages == {3: 27, 9: 9, 27: 3, 52: 1}
    assert found.expected_epochs == 27 * 3 + 9 * 6 + 3 * 18 + 1 * 25
    assert found.worst_epochs == 27 * 52


def test_somebody_always_reaches_the_end() -> None:
    """However few trials there are, the last one of each rung goes on."""
    assert plan(Rules(halving(4, 52))).stages[52] == 1


def test_without_a_pruner_all_are_trained() -> None:
    """Expected and worst case are the same."""
    found = plan(Rules(halving(5, 20, "none")))
    assert (found.stages, found.expected_epochs, found.worst_epochs) == ({20: 5}, 100, 100)


def test_brackets_spare_some_trials_the_first_rungs() -> None:
    """Hyperband trains more trials on than successive halving, and fewer than nothing would."""
    narrow, wide = (
        plan(Rules(halving(130, 52, "promote"))),
        plan(Rules(halving(130, 52, "hyperband"))),
    )
    assert wide.stages[3] == pytest.approx(130)
    assert narrow.stages[52] < wide.stages[52] < 130


@pytest.mark.parametrize("pruner", ["median", "percentile", "patience"])
def test_a_rule_without_a_share_gives_the_worst_case_only(pruner: str) -> None:
    """How many trials lie below a median of what is not known yet cannot be said."""
    found = plan(Rules(halving(5, 20, pruner)))
    assert (found.stages, found.expected_epochs, found.worst_epochs) == ({}, None, 100)


def test_confirmation_is_counted() -> None:
    """The leaders' fresh seeds are trained whatever was pruned, of no more than there are."""
    found = plan(Rules(halving(2, 20, "none", confirm={"top": 3, "seeds": 4})))
    assert (found.confirm_epochs, found.worst_epochs) == (160, 200)


@few
@given(
    st.integers(1, 3000),
    st.integers(1, 300),
    st.sampled_from(["asha", "promote", "hyperband", "none"]),
)
def test_what_is_expected_lies_within_the_worst_case(trials: int, epochs: int, pruner: str) -> None:
    """Stages never grow, and their sum is no more than full trainings of all."""
    found = plan(Rules(halving(trials, epochs, pruner, sampler="random")))
    reached = [found.stages[step] for step in sorted(found.stages)]
    assert reached == sorted(reached, reverse=True)
    assert found.expected_epochs is not None
    assert epochs - 1e-6 <= found.expected_epochs <= found.worst_epochs + 1e-6


def test_hours_stay_within_the_studys_own_limits() -> None:
    """Device hours end at `max_hours`, hours on the wall at `max_wall_hours`."""
    assert device_hours(3600, 2, None) == 2
    assert device_hours(3600, 2, 1.5) == 1.5
    assert wall_hours(halving(9, 20, max_wall_hours=0.1), 8, 1, workers=2) == 0.1


def test_many_workers_are_no_faster_than_one_training() -> None:
    """Twenty epochs in a row take their time, and twice that when leaders are confirmed."""
    assert wall_hours(halving(99, 20, parallel=50), 10, 360, workers=50) == 2
    confirmed = halving(99, 20, parallel=50, confirm={"top": 1, "seeds": 1})
    assert wall_hours(confirmed, 10, 360, workers=50) == 4
    assert wall_hours(halving(99, 20, parallel=5), 10, 1, workers=50) == 2
