"""The chart of a Pareto front: every trial of it, and no better line than they bear out."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from api.dashboard.charts.front import draw_front, draw_volume, fold_front
from tuner.search.analysis import pareto_front
from tuner.spec.study import Objective
from tuner.spec.views import FrontStep, FrontView

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def front_view(points: Sequence[tuple[float, float]], *directions: Any) -> FrontView:
    """Trials that ended with these values of two objectives."""
    objectives = tuple(
        Objective(metric=name, direction=direction)
        for name, direction in zip(("miou", "latency_ms"), directions, strict=True)
    )
    best = set(pareto_front(points, objectives))
    steps = tuple(
        FrontStep(trial=n, values=p, on_front=n in best, hypervolume=float(n), finished_at=NOON)
        for n, p in enumerate(points)
    )
    return FrontView(objectives=objectives, reference=(0.0, 0.0), hypervolume=1.0, steps=steps)


@pytest.mark.parametrize(
    ("directions", "corner"),
    [
        (("maximize", "minimize"), "top left"),
        (("maximize", "maximize"), "top right"),
        (("minimize", "maximize"), "bottom right"),
        (("minimize", "minimize"), "bottom left"),
    ],
)
def test_a_front_never_claims_more_than_its_trials(directions: Any, corner: str) -> None:
    """Whichever way objectives point, the line's corners lie on the worse side of both trials."""
    chance = Random(1)
    view = front_view([(chance.random(), chance.random()) for _ in range(60)], *directions)
    folded = fold_front(view)
    path = re.search(r'<path class="best" d="M([^"]+)"', draw_front(folded))
    assert folded.corner == corner
    assert path is not None
    drawn = [tuple(map(int, point.split())) for point in path.group(1).split("L")]
    worse = {"top": 1, "bottom": -1, "left": 1, "right": -1}  # SVG counts downwards
    down, across = (worse[word] for word in corner.split())
    for before, between, after in zip(drawn[::2], drawn[1::2], drawn[2::2], strict=False):
        assert across * between[0] == max(across * before[0], across * after[0])
        assert down * between[1] == max(down * before[1], down * after[1])


def test_a_front_is_drawn_whole() -> None:
    """A fast trial far from the others is no failure: the axes hold it."""
    points = [(0.9, 30.0 + n / 100) for n in range(50)] + [(0.1, 1.0)]
    folded = fold_front(front_view(points, "maximize", "minimize"), limit=5)
    assert folded.x.low <= 1.0
    assert folded.y.low <= 0.1
    assert [one.trial for one in folded.marks if one.on_front] == [0, 50]


def test_the_volume_is_a_staircase_up_to_the_last_trial() -> None:
    """However many trials there are, the chart has a bounded number of steps."""
    view = front_view([(n / 5000, 1.0) for n in range(5000)], "maximize", "minimize")
    assert len(re.findall("V", draw_volume(view))) <= 1000
