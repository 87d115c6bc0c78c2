"""Which trials of a study a filter lets through: `miou > .6 and optimizer.name = sgd`.

A value that a trial lacks is neither equal to anything nor below or above it; `= none` asks for it.
What the language is stands in `tuner.spec.filters`, what it can name in `trial_fields`.
"""

import json
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.service import rankings
from tuner.service.trial_fields import TrialField, TrialFields, ValueKind
from tuner.spec.filters import (
    Among,
    Condition,
    Every,
    Expression,
    Given,
    Negation,
    Op,
    Some,
    parse,
    refuse,
)
from tuner.spec.hints import nearest
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.store import trial_cells
from tuner.store.once import once
from tuner.store.tables import Study

Values = Sequence[Any]  # of a filter's fields, of one trial
Test = Callable[[Values], bool]
_ORDERS: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
}
_ORDERED = {ValueKind.NUMBER, ValueKind.TIME, ValueKind.ANY}


@dataclass(frozen=True, slots=True)
class Filter:
    """What lets a trial through, by its values of these fields, in their order."""

    fields: tuple[TrialField, ...]
    accepts: Test


def predicate(spec: StudySpec, text: str, reported: Collection[str] = ()) -> Filter | None:
    """What a filter means for a study's trials; None where it is blank.

    Args:
        reported: metrics that workers named themselves, beside those that every study has.

    Raises:
        InvalidInput: it cannot be read, or names what no trial has; with the character.
    """
    if not text.strip():
        return None
    compiler = _Compiler(TrialFields(spec, reported))
    accepts = compiler.test(parse(text))
    return Filter(tuple(compiler.fields), accepts)


def matching(session: Session, study: Study, spec: StudySpec, text: str) -> frozenset[int] | None:
    """Numbers of the trials that a filter lets through; None where it is blank, and lets all.

    Raises InvalidInput.
    """
    if not text.strip():
        return None
    question = "matching", study.id, text
    return once(session, question, lambda: _matching(session, study, spec, text))


def _matching(session: Session, study: Study, spec: StudySpec, text: str) -> frozenset[int]:
    found = predicate(spec, text, trial_cells.reported(session, study.id))
    assert found is not None
    rows = values(session, study, spec, found.fields)
    return frozenset(row.number for row in rows if found.accepts(row.values))


class FilterRow(NamedTuple):
    """Values of some fields of one trial."""

    id: int
    number: int
    values: tuple[Any, ...]


def values(
    session: Session,
    study: Study,
    spec: StudySpec,
    fields: Sequence[TrialField],
    *,
    state: TrialState | None = None,
) -> list[FilterRow]:
    """Values of these fields of each trial, of one state or all, by number."""
    stored = trial_cells.read(session, study.id, [field.cell for field in fields], state=state)
    rows = [FilterRow(row[0], row[1], row[2:]) for row in stored]
    for place, field in enumerate(fields):
        if field.is_metric and any(row.values[place] is None for row in rows):
            rows = _filled(rows, place, rankings.derived(session, study, spec, field.name))
    return rows


def _filled(rows: list[FilterRow], place: int, found: Mapping[int, float]) -> list[FilterRow]:
    """The rows with what matrices give in place of what was not reported."""
    return [
        FilterRow(
            row.id, row.number, (*row.values[:place], found[row.id], *row.values[place + 1 :])
        )
        if row.values[place] is None and row.id in found
        else row
        for row in rows
    ]


class _Compiler:
    """Turns an expression into a function of a row, and collects the fields that it reads."""

    def __init__(self, known: TrialFields) -> None:
        self._known = known
        self.fields: list[TrialField] = []

    def test(self, expression: Expression) -> Test:
        match expression:
            case Negation(part):
                inner = self.test(part)
                return lambda row: not inner(row)
            case Every(parts):
                return _every([self.test(part) for part in parts])
            case Some(parts):
                return _some([self.test(part) for part in parts])
            case Among(name, given, at):
                field, place = self._find(name, at)
                allowed = [_wanted(field, one) for one in given]
                return lambda row: plain(row[place]) in allowed
            case Condition(name, op, given, at):
                field, place = self._find(name, at)
                return _compared(field, place, op, given)

    def _find(self, name: str, at: int) -> tuple[TrialField, int]:
        field = self._known.find(name)
        if field is None:
            refuse(at, self._known.missing(name))
        if field not in self.fields:
            self.fields.append(field)
        return field, self.fields.index(field)


def _every(tests: Sequence[Test]) -> Test:
    if len(tests) > 2:
        return lambda row: all(test(row) for test in tests)
    first, second = tests  # the usual case, twice as fast
    return lambda row: first(row) and second(row)


def _some(tests: Sequence[Test]) -> Test:
    if len(tests) > 2:
        return lambda row: any(test(row) for test in tests)
    first, second = tests
    return lambda row: first(row) or second(row)


def _compared(field: TrialField, place: int, op: Op, given: Given) -> Test:
    if op is Op.CONTAINS:
        return _containing(field, place, given)
    wanted = _wanted(field, given)
    if op is Op.EQUAL:
        return lambda row: bool(plain(row[place]) == wanted)
    if op is Op.DIFFERENT:
        return lambda row: bool(plain(row[place]) != wanted)
    if field.kind not in _ORDERED:
        refuse(given.at, f"{field.name} is {field.kind}; compare it by = or != or in, not by {op}")
    if wanted is None or isinstance(wanted, str | bool):
        refuse(given.at, f"only numbers and times are compared by {op}; {_said(given)} is neither")
    return _ordered(place, _ORDERS[op], wanted)


def _containing(field: TrialField, place: int, given: Given) -> Test:
    """Whether the text of a value contains another, whatever the case."""
    if given.value is None or field.kind is ValueKind.TIME:
        asked = field.name if field.kind is ValueKind.TIME else _said(given)
        refuse(given.at, f"`~` looks for a part of a text, and {asked} is none")
    part = (given.value if isinstance(given.value, str) else json.dumps(given.value)).lower()
    return lambda row: row[place] is not None and part in str(plain(row[place])).lower()


def _ordered(place: int, compare: Callable[[Any, Any], bool], wanted: float | datetime) -> Test:
    """Whether a value is of the same kind as the wanted one, and on its right side."""
    kind = datetime if isinstance(wanted, datetime) else (int, float)
    return lambda row: isinstance(row[place], kind) and compare(row[place], wanted)


def plain(value: Any) -> Any:
    """A value as a filter can say it: a list is its JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _wanted(field: TrialField, given: Given) -> Any:
    """The value that a field is compared with. Raises InvalidInput."""
    value = given.value
    if value is None or field.kind is ValueKind.ANY:
        return value
    if field.kind is ValueKind.TIME:
        return _moment(field, given)
    if field.kind is ValueKind.TEXT:
        text = value if isinstance(value, str) else json.dumps(value)
        if field.values and text not in field.values:
            refuse(given.at, f"no {field.name} is called '{text}'; {nearest(text, field.values)}")
        return text
    is_flag = isinstance(value, bool)
    if isinstance(value, str) or is_flag is not (field.kind is ValueKind.FLAG):
        refuse(given.at, f"{field.name} is {field.kind}, which {_said(given)} is not")
    return value


def _moment(field: TrialField, given: Given) -> datetime:
    try:
        found = datetime.fromisoformat(str(given.value))
    except ValueError:
        refuse(
            given.at,
            f"{field.name} is a time such as 2026-11-20 or 2026-11-20T14:30+01:00, which "
            f"{_said(given)} is not",
        )
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _said(given: Given) -> str:
    return f"'{given.value[:60]}'" if isinstance(given.value, str) else json.dumps(given.value)
