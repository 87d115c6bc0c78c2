"""A trial's metrics as curves: grouped, placed on an axis, chosen, thinned and sent."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.dashboard.charts.multiples import draw_multiple, fold_multiples
from api.dashboard.trial_query import TrialChoice
from api.dashboard.trial_series import groups, places, series, shown
from tests.store.samples import spec
from tuner.spec.study import StudySpec
from tuner.spec.views import StepView

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def step(number: int, *, attempt: int = 1, seconds: float = 30.0, **metrics: Any) -> StepView:
    """One reported epoch."""
    found = {"miou": 0.1 * number, "iou.car": 0.2, "iou.road": 0.4, "train_loss": 1.0 / number}
    return StepView(
        step=number,
        metrics={**found, "lr": 0.01, "latency_ms": 9.0, **metrics},
        seconds=seconds,
        attempt=attempt,
        created_at=NOW,
    )


def study(*classes: str) -> StudySpec:
    """A study over these classes."""
    names = classes or ("road", "car")
    return spec(dataset={"format": "synthetic", "classes": list(names), "size": [32, 32]})


def test_metrics_are_grouped_by_what_they_are_about() -> None:
    """The objective leads, classes and speed stand apart, what never changes is no curve."""
    found = groups([step(1, images_per_second=80.0, images=64.0, val_gap=0.1)], study())

    assert ("miou", "train_loss", "lr", "val_gap") == found["scores"]
    assert ("iou.road", "iou.car") == found["classes"]
    assert ("images_per_second", "seconds") == found["speed"]
    assert ("miou", "train_loss", "lr", "images_per_second") == found["overview"]


def test_what_is_chosen_by_name_is_shown_alone() -> None:
    """Unknown names are passed over; without any known one the view decides."""
    steps = [step(1)]
    known = groups(steps, study())
    chosen = TrialChoice(metrics=("iou.car", "nonsense", "iou.car"))

    assert ("iou.car",) == shown(chosen, known, steps)
    assert known["overview"] == shown(TrialChoice(metrics=("nonsense",)), known, steps)


def test_of_many_classes_the_worst_are_shown() -> None:
    """Those that a person would look for first, in that order."""
    names = [f"class-{number}" for number in range(150)]
    scores: dict[str, Any] = {f"iou.{name}": 1 - at / 150 for at, name in enumerate(names)}
    steps = [step(1, **scores)]
    found = shown(TrialChoice(view="classes"), groups(steps, study(*names)), steps)

    assert [f"iou.class-{149 - at}" for at in range(12)] == list(found)


@pytest.mark.parametrize(
    ("axis", "unit", "at", "end"),
    [
        ("epochs", "epochs", (1, 2), 10),
        ("images", "images", (64, 128), 640),
        ("time", "minutes", (1.5, 3.0), 15.0),
    ],
)
def test_an_axis_ends_where_the_training_does(axis: Any, unit: str, at: Any, end: float) -> None:
    """What is left takes as much room as it did so far, whatever is counted."""
    steps = [step(n, seconds=90.0, images=64.0 * n) for n in (1, 2)]
    found = places(steps, axis, 10)

    assert (axis, unit, at, end) == (found.axis, found.unit, found.at, found.end)


def test_images_that_were_not_counted_are_epochs() -> None:
    """Workers of earlier releases do not say how many images they saw."""
    assert "epochs" == places([step(1)], "images", 3).axis


def test_a_resume_is_marked_where_it_was() -> None:
    """At the first epoch of each later attempt."""
    steps = [step(1), step(2), step(3, attempt=2), step(4, attempt=2)]

    assert (3.0,) == places(steps, "epochs", 4).resumed


def test_steps_without_a_value_are_left_out() -> None:
    """A metric that came only now and then is joined over the steps that have it."""
    steps = [step(1, dice=0.1), step(2), step(3, dice=0.3)]
    found = series(["dice", "nowhere"], steps, places(steps, "epochs", 3), ("road", "car"))

    assert [((1.0, 0.1), (3.0, 0.3))] == [each.points for each in found]


@pytest.mark.parametrize("epochs", [1, 3, 500, 20_000])
def test_a_chart_is_as_large_as_a_screen(epochs: int) -> None:
    """However long the training was, with its best and its last in it."""
    steps = [step(n, miou=0.9 if n == epochs // 2 else 0.4) for n in range(1, epochs + 1)]
    where = places(steps, "epochs", epochs)
    folded = fold_multiples(series(["miou"], steps, where, ()), where, weight=0.6)
    (line,) = folded.lines

    assert len(line.points) <= 800
    assert len(draw_multiple(folded, line)) < 30_000
    assert float(epochs) == line.points[-1][0]
    assert epochs < 3 or line.best == (epochs // 2, 0.9)


def test_less_loss_is_better() -> None:
    """The best of a loss is its lowest; the best of a rate is nothing."""
    steps = [step(n) for n in (1, 2, 3)]
    where = places(steps, "epochs", 3)
    loss, rate = fold_multiples(series(["train_loss", "lr"], steps, where, ()), where).lines

    assert loss.best == pytest.approx((3.0, 1 / 3), rel=1e-5)
    assert rate.best is None


def test_an_address_says_only_what_is_not_as_usual() -> None:
    """And names with any sign in them come back as they were."""
    query = TrialChoice(metrics=("iou.a&b", "miou"), axis="time", smooth=0.6)

    assert "" == TrialChoice().text
    assert "?metric=iou.a%26b&metric=miou&axis=time&smooth=0.6" == query.text
    assert query == TrialChoice().but(metrics=query.metrics, axis="time", smooth=0.6)
