"""Which epoch of a trial counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.spec.counting import Counting
from tuner.spec.study import Objective

VALUES = st.lists(st.none() | st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=8)


def counted(counting: Counting, values: list[float | None], *, first: int = 1) -> int:
    """The step that counts after reports of these values."""
    step, known = 0, None
    for at, value in enumerate(values, start=first):
        if counting.replaces(value, known, step):
            step, known = at, value
    return step


@few
@given(VALUES)
def test_the_last_step_counts_where_nothing_else_is_said(values: list[float | None]) -> None:
    """Whatever its value."""
    assert counted(Counting(Objective(metric="miou")), values) == len(values)


@few
@given(VALUES, st.sampled_from(["maximize", "minimize"]))
def test_the_best_step_is_the_first_with_the_best_value(
    values: list[float | None], direction: str
) -> None:
    """Without any value it is the last."""
    objective = Objective.model_validate({"metric": "miou", "direction": direction, "at": "best"})
    known = [value for value in values if value is not None]
    best = (max if direction == "maximize" else min)(known, default=None)
    expected = len(values) if best is None else values.index(best) + 1

    assert counted(Counting(objective), values) == expected


@pytest.mark.parametrize(("began", "expected"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_steps_of_an_earlier_training_do_not_count(began: int, expected: int) -> None:
    """The first step after it is the best of those that are left."""
    objective = Objective(metric="miou", at="best")
    step, known = 0, None
    for at, value in enumerate([0.9, 0.8, 0.7, 0.6], start=1):
        # What a training reports begins after the steps of the one before.
        if Counting(objective, began if at > began else 0).replaces(value, known, step):
            step, known = at, value

    assert step == expected
