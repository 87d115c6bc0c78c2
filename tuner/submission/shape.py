"""What pydantic says of a document's shape, in words for the person who wrote it."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tuner import catalog
from tuner.errors import Problem
from tuner.spec.study import StudySpec

Location = tuple[str | int, ...]


def readable(item: ErrorDetails) -> Problem:
    """One error of pydantic in our words, at the place that the document shows."""
    place, message = _place(item["loc"]), catalog.plain(item["msg"])
    if item["type"] == "missing":
        return Problem(place, "is missing; a study needs it")
    if item["type"] == "extra_forbidden":
        valid = _keys_beside(item["loc"])
        hint = f"; {catalog.nearest(str(place[-1]), valid)}" if valid else ""
        return Problem(place, f"no such key{hint}")
    if item["type"] == "space":
        return Problem((*place, item["ctx"]["path"]), message)
    if item["type"] in {"value_error", "dimension"}:
        return Problem(place, message)
    return Problem(place, f"{message}, not {_short(item['input'])}")


def _place(location: Location) -> Location:
    """The location without what pydantic adds: the tag that repeats a range's kind."""
    kept: list[str | int] = []
    for part in location:
        if not (part in {"float", "int", "choice"} and kept and kept[-1] == part):
            kept.append(part)
    return tuple(kept)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _keys_beside(location: Location) -> tuple[str, ...]:
    """Keys that would have been right where an unknown one stands, if they can be told."""
    model: type[BaseModel] = StudySpec
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        annotation: Any = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return tuple(model.model_fields)
