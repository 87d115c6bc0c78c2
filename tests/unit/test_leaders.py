"""Which trials of several objectives are trained again."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.search.leaders import leaders
from tuner.spec.study import Objective

BOTH = (Objective(metric="miou"), Objective(metric="train_loss", direction="minimize"))
POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=9)


def test_the_best_by_the_first_objective_comes_first() -> None:
    """Then what adds most to the hypervolume: the middle of the front before its near ends."""
    front = [(0.9, 0.9), (0.88, 0.85), (0.6, 0.4), (0.2, 0.1)]
    assert leaders(front, BOTH, 1) == (0,)
    assert leaders(front, BOTH, 3) == (0, 2, 3)
    assert leaders(front, BOTH, 9) == (0, 2, 3, 1)


def test_behind_a_short_front_the_next_one_follows() -> None:
    """One trial that is best in everything still has someone to be compared with."""
    assert leaders([(0.3, 0.5), (0.9, 0.1), (0.5, 0.3)], BOTH, 2) == (1, 2)


def test_equals_come_by_number() -> None:
    """Without any range the earliest are taken."""
    assert leaders([(0.5, 0.5)] * 4, BOTH, 3) == (0, 1, 2)
    assert leaders([], BOTH, 3) == ()


@few
@given(POINTS, st.integers(1, 10))
def test_no_trial_is_chosen_before_one_that_beats_it(
    points: list[tuple[float, float]], count: int
) -> None:
    """As many as there are, each once, and never the worse of two first."""
    chosen = leaders(points, BOTH, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(points))
    for first, second in combinations(chosen, 2):
        a, b = points[first], points[second]
        assert a == b or not (b[0] >= a[0] and b[1] <= a[1])


@pytest.mark.parametrize("third", [0.2, 0.8])
def test_every_objective_counts(third: float) -> None:
    """With three objectives the volume is three-dimensional."""
    three = (*BOTH, Objective(metric="dice"))
    points = [(0.9, 0.9, 0.5), (0.5, 0.5, 0.5), (0.5, 0.5, third)]
    assert leaders(points, three, 2) == (0, 2 if third > 0.5 else 1)
