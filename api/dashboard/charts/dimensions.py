"""Axes of searched params: numbers as they are searched, choices side by side, "–" for neither."""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from api.dashboard.charts.axes import Axis, linear
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.spec.filters import Condition, Given, Op, write
from tuner.spec.space import AnyDimension, Choice, Float, SearchSpace

WHOLE = 10_000  # places as whole numbers: finer than a screen
MISSING = (-0.13, -0.05)  # where trials that lack a param are, below its axis
_GOLDEN = 0.618034  # spreads whole numbers evenly between 0 and 1
_DECADES = 7  # powers of ten that an axis names, at most
_EXACT = 2**53
_FINE = 2.2  # decades below which twos and fives are named too


@dataclass(frozen=True, slots=True)
class AxisOption:
    """A value of a choice: as it is shown, and as a filter says it."""

    label: str
    term: str
    value: Any


@dataclass(frozen=True, slots=True)
class AxisTick:
    """A name on an axis, and where: 0 is its low end, 1 its high end."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class ParamAxis:
    """One param, or a metric, as an axis; trials that lack it stand beside the axis.

    `low` and `high` are of numbers, `options` of choices; `word` is the path in a filter.
    """

    path: str
    name: str
    word: str
    kind: Literal["number", "choice"]
    low: float
    high: float
    log: bool
    whole: bool
    options: tuple[AxisOption, ...]
    ticks: tuple[AxisTick, ...]
    has_missing: bool

    def place(self, value: Any) -> float | None:
        """Where a value lies between 0 and 1; None where the trial has none that fits."""
        if self.kind == "choice":
            label = term(value) if value is not _LACKING else None
            for index, option in enumerate(self.options):
                if option.term == label:
                    return (index + 0.5) / len(self.options)
            return None
        return _share(value, self.low, self.high, log=self.log) if _is_number(value) else None

    def value(self, place: float) -> float:
        """The number at a place, to four digits."""
        if self.log:
            found = self.low * (self.high / self.low) ** place
        else:
            found = self.low + (self.high - self.low) * place
        return round(found) if self.whole else float(f"{found:.4g}")


_LACKING: Any = object()


def place_of(axis: ParamAxis, params: Mapping[str, Any]) -> float | None:
    """Where a trial lies on an axis; None where it lacks the param."""
    return axis.place(params.get(axis.path, _LACKING))


def scattered(axis: ParamAxis, params: Mapping[str, Any], number: int) -> int:
    """Where a trial is drawn, in ten-thousandths: equal choices side by side, none in `MISSING`."""
    place = place_of(axis, params)
    shift = number * _GOLDEN % 1 - 0.5
    if place is None:
        place = (MISSING[0] + MISSING[1]) / 2 + shift * (MISSING[1] - MISSING[0])
    elif axis.options:
        place += shift * 0.6 / len(axis.options)
    return round(place * WHOLE)


def param_axes(space: SearchSpace, params: Sequence[Mapping[str, Any]]) -> dict[str, ParamAxis]:
    """An axis for each searched path, wide enough for what trials have."""
    names = wording.short_paths(tuple(space.root))
    return {
        path: _axis(path, names[path], alternatives, [each.get(path, _LACKING) for each in params])
        for path, alternatives in space.root.items()
    }


def metric_axis(name: str, axis: Axis) -> ParamAxis:
    """The axis of a metric; values beyond its ends stand at them."""
    ticks = tuple(AxisTick(axis.position(tick), axis.label(tick)) for tick in axis.ticks)
    return ParamAxis(
        path=name,
        name=name,
        word=word(name),
        kind="number",
        low=axis.low,
        high=axis.high,
        log=False,
        whole=False,
        options=(),
        ticks=ticks,
        has_missing=False,
    )


def _axis(
    path: str, name: str, alternatives: Sequence[AnyDimension], values: Sequence[Any]
) -> ParamAxis:
    given = [value for value in values if value is not _LACKING]
    ranges = [one for one in alternatives if not isinstance(one, Choice)]
    if len(ranges) < len(alternatives):
        return _of_choices(path, name, alternatives, given, has_missing=len(given) < len(values))
    numbers = [value for value in given if _is_number(value)]
    ends = [end for one in ranges for end in one.bounds]
    low, high = min([*ends, *numbers]), max([*ends, *numbers])
    log = any(one.log for one in ranges) and low > 0
    whole = not any(isinstance(one, Float) for one in ranges)
    return ParamAxis(
        path=path,
        name=name,
        word=word(path),
        kind="number",
        low=float(low),
        high=float(high),
        log=log,
        whole=whole,
        options=(),
        ticks=_log_ticks(low, high) if log else _ticks(low, high, whole=whole),
        has_missing=len(numbers) < len(values),
    )


def _of_choices(
    path: str,
    name: str,
    alternatives: Sequence[AnyDimension],
    given: Sequence[Any],
    *,
    has_missing: bool,
) -> ParamAxis:
    declared = [each for one in alternatives if isinstance(one, Choice) for each in one.choice]
    options = {
        term(value): AxisOption(label(value), term(value), value)
        for value in [*declared, *_distinct(given)]
    }
    found = tuple(options.values())
    ticks = tuple(AxisTick((i + 0.5) / len(found), each.label) for i, each in enumerate(found))
    return ParamAxis(
        path=path,
        name=name,
        word=word(path),
        kind="choice",
        low=0.0,
        high=1.0,
        log=False,
        whole=False,
        options=found,
        ticks=ticks,
        has_missing=has_missing,
    )


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Different values, true and 1 apart; of lists all."""
    try:
        return [value for _, value in {(type(value), value): None for value in values}]
    except TypeError:
        return list(values)


def label(value: Any) -> str:
    """A choice as it is shown."""
    return wording.setting(value) if value is not None else _("none")


def term(value: Any) -> str:
    """A choice as a filter says it."""
    if isinstance(value, list | dict):
        value = json.dumps(value)
    return _term(isinstance(value, bool), value)


@lru_cache(4096)  # it is asked for once for each trial
def _term(_: Hashable, value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return write(Condition("x", Op.EQUAL, Given(value))).removeprefix("x = ")


def word(path: str) -> str:
    """A name as a filter says it."""
    return write(Condition(path, Op.EQUAL, Given(0))).removesuffix(" = 0")


def _ticks(low: float, high: float, *, whole: bool) -> tuple[AxisTick, ...]:
    axis = linear((low, high), count=4, whole=whole)
    return tuple(
        AxisTick(_share(tick, low, high, log=False), axis.label(tick))
        for tick in axis.ticks
        if low <= tick <= high
    )


def _log_ticks(low: float, high: float) -> tuple[AxisTick, ...]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / _DECADES))
    digits: Iterable[int] = (1, 2, 5) if math.log10(high / low) < _FINE else (1,)
    marks = [d * 10.0**power for power in range(first, last + 1, stride) for d in digits]
    kept = [mark for mark in marks if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
    return tuple(
        AxisTick(_share(mark, low, high, log=True), wording.number(mark))
        for mark in kept or [low, high]
    )


def _share(value: float, low: float, high: float, *, log: bool) -> float:
    if log and value <= 0:
        return 0.0
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    if high <= low:
        return 0.5
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
