"""What a filter says of one axis, and the filter that says something else of it.

A filter's parts are what its outermost `and` joins. The parts that are about one field alone are
that field's; whatever is said anew of it takes their place, and all others stay as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, nan
from typing import NamedTuple

from api.dashboard.charts.dimensions import MISSING, ParamAxis
from tuner.errors import InvalidInput, Problem
from tuner.service.filters import predicate
from tuner.service.trial_fields import TrialFields
from tuner.spec.filters import (
    Among,
    Condition,
    Every,
    Expression,
    Given,
    Literal,
    Op,
    Some,
    conditions,
    parse,
    write,
)

Span = tuple[float, float]
_EXACT = 2**53
_POINT = 0.008  # half of the width in which a single value is shown


@dataclass(frozen=True, slots=True)
class AxisRegion:
    """Part of an axis: values between ends (None: open), single values, and trials without any."""

    spans: tuple[tuple[float | None, float | None], ...] = ()
    values: tuple[Literal, ...] = ()
    missing: bool = False


@dataclass(frozen=True, slots=True)
class AxisForm:
    """What a form or a brush says of one axis.

    `low` and `high` are ends as they were written; `spans` pairs of them such as `0.1~0.3`, of
    which one may be left out; `values` choices as a filter says them; `of` how many boxes the form
    has, all of which ticked ask for nothing.
    """

    name: str
    low: str = ""
    high: str = ""
    spans: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    missing: bool = False
    of: int = 0

    @property
    def region(self) -> AxisRegion | None:
        """What is asked for; None where that is everything.

        Raises:
            InvalidInput: an end is not a number, or a value cannot be read.
        """
        ends = [(low, high) for low, _, high in (span.partition("~") for span in self.spans)]
        if self.low.strip() or self.high.strip():
            ends.append((self.low, self.high))
        found = tuple((_number("low", one), _number("high", other)) for one, other in ends)
        chosen = tuple(map(_value, self.values))
        is_everything = self.of > 0 and len(chosen) + self.missing == self.of
        if is_everything or not (found or chosen or self.missing):
            return None
        return AxisRegion(found, chosen, self.missing)


class _Part(NamedTuple):
    field: str | None
    said: Expression


def narrowed(text: str, fields: TrialFields, name: str, region: AxisRegion | None) -> str:
    """The filter with what it says of a field replaced; None takes that out.

    Raises:
        InvalidInput: the filter cannot be read.
    """
    kept = [part.said for part in _parts(text, fields) if part.field != _field(fields, name)]
    added = [] if region is None else _said(name, region)
    parts = [*kept, *added]
    if not parts:
        return ""
    return write(parts[0] if len(parts) == 1 else Every(tuple(parts)))


def said(text: str, fields: TrialFields) -> dict[str, str]:
    """What a filter says by field, in its own words; under an empty name what is about several.

    Raises:
        InvalidInput: the filter cannot be read.
    """
    found: dict[str, list[str]] = {}
    for part in _parts(text, fields):
        found.setdefault(part.field or "", []).append(write(part.said))
    return {field: " and ".join(parts) for field, parts in found.items()}


def _number(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise InvalidInput([Problem((name,), f"'{text[:60]}' is not a number")])
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _value(text: str) -> Literal:
    match parse(f"x = {text}"):
        case Condition(_, _, given):
            return given.value
    raise InvalidInput([Problem(("value",), f"'{text[:60]}' is not one value")])


def spans(text: str, fields: TrialFields, axis: ParamAxis) -> tuple[Span, ...]:
    """Where on an axis the filter's parts about it let trials through; empty: it says nothing.

    Raises:
        InvalidInput: the filter cannot be read.
    """
    field = _field(fields, axis.path)
    own = [part.said for part in _parts(text, fields) if part.field == field]
    if not own:
        return ()
    said = Every(tuple(own)) if len(own) > 1 else own[0]
    found = predicate(fields.spec, write(said), fields.reported)
    assert found is not None
    count = len(found.fields)

    def accepts(value: object) -> bool:
        return found.accepts([value] * count)

    on_axis = _of_options(axis, accepts) if axis.options else _of_numbers(axis, said, accepts)
    return (MISSING, *on_axis) if accepts(None) else tuple(on_axis)


def _parts(text: str, fields: TrialFields) -> list[_Part]:
    if not text.strip():
        return []
    whole = parse(text)
    found = []
    for said in whole.parts if isinstance(whole, Every) else (whole,):
        about = {_field(fields, each.name) for each in conditions(said)}
        found.append(_Part(about.pop() if len(about) == 1 else None, said))
    return found


def _field(fields: TrialFields, name: str) -> str:
    """One name for a field, however a filter calls it; the first objective is the value."""
    found = fields.find(name)
    if found is None:
        return name
    return fields.spec.objective.metric if found.name == "value" else found.name


def _said(name: str, region: AxisRegion) -> list[Expression]:
    found: list[list[Expression]] = []
    for low, high in region.spans:
        ends = [(Op.AT_LEAST, low), (Op.AT_MOST, high)]
        bounds: list[Expression] = [
            Condition(name, op, Given(end)) for op, end in ends if end is not None
        ]
        found.append(bounds or [Condition(name, Op.DIFFERENT, Given(None))])
    if len(region.values) == 1:
        found.append([Condition(name, Op.EQUAL, Given(region.values[0]))])
    elif region.values:
        found.append([Among(name, tuple(map(Given, region.values)))])
    if region.missing:
        found.append([Condition(name, Op.EQUAL, Given(None))])
    if len(found) == 1:
        return found[0]
    joined = [each[0] if len(each) == 1 else Every(tuple(each)) for each in found]
    return [Some(tuple(joined))] if joined else []


def _of_options(axis: ParamAxis, accepts: Callable[[object], bool]) -> list[Span]:
    count = len(axis.options)
    passed = [index for index, each in enumerate(axis.options) if accepts(each.value)]
    return _joined([(index / count, (index + 1) / count) for index in passed])


def _of_numbers(axis: ParamAxis, said: Expression, accepts: Callable[[object], bool]) -> list[Span]:
    """Between two numbers that a filter names, what it lets through does not change."""
    named = {
        float(given.value)
        for each in conditions(said)
        for given in (each.given if isinstance(each, Among) else (each.given,))
        if isinstance(given.value, int | float) and not isinstance(given.value, bool)
    }
    inside = [value for value in named if axis.low <= value <= axis.high]
    ends = sorted({axis.low, axis.high, *inside})
    found: list[Span] = []
    for low, high in pairwise(ends):
        if accepts(low + (high - low) / 2):
            found.append((axis.place(low) or 0.0, axis.place(high) or 0.0))
    for value in inside:
        place = axis.place(value) or 0.0
        if accepts(value) and not any(low <= place <= high for low, high in found):
            found.append((max(0.0, place - _POINT), min(1.0, place + _POINT)))
    return _joined(sorted(found))


def _joined(parts: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for low, high in parts:
        if found and low <= found[-1][1] + 1e-9:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found
