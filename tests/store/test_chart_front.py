"""The front as charts read it: what breaks a bound is there too, with the reason."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service.charts import front
from tuner.service.charts.front import broken
from tuner.service.charts.reading import read
from tuner.service.charts.selection import ChartSelection
from tuner.spec.study import Constraint
from tuner.store.engine import Database


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"latency_ms": 41.2}, "latency_ms 41.200 > 30"),
        ({"latency_ms": 3.0}, "latency_ms 3.000 < 5"),
        ({"latency_ms": 30.0}, ""),
        ({}, "latency_ms is not known"),
    ],
)
def test_a_broken_bound_is_said(metrics: dict[str, float], said: str) -> None:
    """With the value and the bound; at the bound nothing is broken."""
    assert broken(metrics, (Constraint(metric="latency_ms", min=5, max=30),)) == said


def test_trials_that_break_a_bound_are_read(database: Database) -> None:
    """They are not on the front, and lie beside it."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    fleet = Fleet(database)
    fleet.submit(spec(objectives=both, constraints=[{"metric": "miou", "min": 0.3}]))
    for value in (0.2, 0.5):
        fleet.train(fleet.take(), value=value)
    found = read(database, "streets", ChartSelection(), front.read)
    assert found.axes == ("miou", "train_loss")
    assert [(one.is_feasible, one.broken) for one in found.outcomes] == [
        (False, "miou 0.200 < 0.3"),
        (True, ""),
    ]
    assert [step.trial for step in found.view.steps] == [1]
