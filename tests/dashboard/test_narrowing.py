"""What a filter says of one axis, and how a brush changes that and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.charts.dimensions import MISSING, ParamAxis, param_axes
from api.dashboard.narrowing import AxisRegion, narrowed, spans
from tests.dashboard.relations import spec
from tuner.errors import InvalidInput
from tuner.service.filters import predicate
from tuner.service.trial_fields import TrialFields

FIELDS = TrialFields(spec())
FULL = {"optimizer.name": "sgd", "optimizer.lr": 1e-3, "optimizer.momentum": 0.9}


def axis(path: str) -> ParamAxis:
    """An axis of the space, which some trials lack."""
    return param_axes(FIELDS.spec.space, [FULL, {}])[path]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (AxisRegion(((1e-3, 3e-2),)), "optimizer.lr >= 0.001 and optimizer.lr <= 0.03"),
        (AxisRegion(((None, 3e-2),)), "optimizer.lr <= 0.03"),
        (AxisRegion(((1e-3, None),)), "optimizer.lr >= 0.001"),
        (AxisRegion(((None, None),)), "optimizer.lr != none"),
        (
            AxisRegion(((None, 1e-4),), missing=True),
            "optimizer.lr <= 0.0001 or optimizer.lr = none",
        ),
        (AxisRegion(missing=True), "optimizer.lr = none"),
        (AxisRegion(values=("sgd",)), "optimizer.lr = sgd"),
        (AxisRegion(values=("a b", True, 3)), 'optimizer.lr in ["a b", true, 3]'),
        (AxisRegion(), ""),
        (None, ""),
    ],
)
def test_a_region_is_said_plainly(region: AxisRegion | None, said: str) -> None:
    """As a person would write it."""
    assert narrowed("", FIELDS, "optimizer.lr", region) == said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "optimizer.lr <= 0.03"),
        ("optimizer.lr > 1", "optimizer.lr <= 0.03"),
        ("lr > 1 and (optimizer.lr < 5 or lr = none)", "optimizer.lr <= 0.03"),
        ("miou > .6 and lr > 1", "miou > 0.6 and optimizer.lr <= 0.03"),
        ("miou > .6 or lr > 1", "(miou > 0.6 or lr > 1) and optimizer.lr <= 0.03"),
        ("not state = failed", "not state = failed and optimizer.lr <= 0.03"),
    ],
)
def test_a_brush_replaces_what_was_said_of_its_axis(before: str, after: str) -> None:
    """By whatever name; what is about something else as well is not touched."""
    assert narrowed(before, FIELDS, "optimizer.lr", AxisRegion(((None, 0.03),))) == after


def test_a_brush_on_the_metric_replaces_one_of_the_value() -> None:
    """The first objective has two names."""
    found = narrowed("value > .2 and lr < 1", FIELDS, "miou", AxisRegion(((0.5, None),)))
    assert found == "lr < 1 and miou >= 0.5"


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("", "optimizer.lr", []),
        ("miou > .6", "optimizer.lr", []),
        ("lr >= 1e-4 and lr <= 1e-2", "optimizer.lr", [(0.25, 0.75)]),
        ("optimizer.lr < 1e-3", "optimizer.lr", [(0.0, 0.5)]),
        ("not lr < 1e-3", "optimizer.lr", [MISSING, (0.5, 1.0)]),
        ("lr < 1e-4 or lr > 1e-2", "optimizer.lr", [(0.0, 0.25), (0.75, 1.0)]),
        ("lr = none", "optimizer.lr", [MISSING]),
        ("lr = 1e-3", "optimizer.lr", [(0.492, 0.508)]),
        ("lr > 7", "optimizer.lr", []),
        ("optimizer.name = sgd", "optimizer.name", [(0.0, 0.5)]),
        ("optimizer.name != sgd", "optimizer.name", [MISSING, (0.5, 1.0)]),
        ("batch_size in [4, 16]", "training.batch_size", [(0, 1 / 3), (2 / 3, 1)]),
        ("batch_size > 4", "training.batch_size", [(1 / 3, 1)]),
    ],
)
def test_a_filter_is_seen_on_its_axis(
    text: str, path: str, found: list[tuple[float, float]]
) -> None:
    """Whoever wrote it, as far as it is about that axis alone."""
    seen = spans(text, FIELDS, axis(path))
    assert [each for span in seen for each in span] == pytest.approx(
        [each for span in found for each in span]
    )


NUMBERS = st.floats(1e-5, 0.1)


@given(ends=st.tuples(NUMBERS, NUMBERS), missing=st.booleans(), value=st.none() | NUMBERS)
def test_a_brush_lets_through_what_it_holds(
    ends: tuple[float, float], missing: bool, value: float | None
) -> None:
    """And nothing else, trials without the param among it."""
    low, high = sorted(ends)
    text = narrowed("", FIELDS, "optimizer.lr", AxisRegion(((low, high),), missing=missing))
    found = predicate(FIELDS.spec, text)
    assert found is not None
    inside = missing if value is None else low <= value <= high
    assert found.accepts([value]) is inside


@given(ends=st.tuples(NUMBERS, NUMBERS), missing=st.booleans())
def test_a_brush_is_drawn_where_it_was_made(ends: tuple[float, float], missing: bool) -> None:
    """What the address says is where the pointer was."""
    low, high = sorted(ends)
    text = narrowed("", FIELDS, "optimizer.lr", AxisRegion(((low, high),), missing=missing))
    own = axis("optimizer.lr")
    seen = spans(text, FIELDS, own)
    assert (seen[0] == MISSING) is missing
    assert seen[-1] == pytest.approx((own.place(low), own.place(high)), abs=0.01)


def test_a_filter_that_cannot_be_read_is_refused() -> None:
    """With the place in it."""
    with pytest.raises(InvalidInput, match="needs a second"):
        narrowed('lr > "', FIELDS, "optimizer.lr", None)
