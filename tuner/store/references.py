"""How callers name a study: a number is its id, and anything else its name."""

from typing import Any

from sqlalchemy import ColumnElement, false

from tuner.store.tables import Study

_LONGEST_ID = 18  # digits that every database's integers have


def is_id(study: int | str) -> bool:
    """Whether it means a study's id: a text of digits alone never means a name."""
    return isinstance(study, int) or (study.isascii() and study.isdecimal())


def key(study: int | str, name: ColumnElement[Any]) -> ColumnElement[bool]:
    """The row that is meant, by its id or by what stands in the column of names."""
    if not is_id(study):
        return name == study
    known = len(str(study)) <= _LONGEST_ID
    return Study.id == int(study) if known else false()
