"""What pydantic says of an input, in our words: the one place where its errors become problems."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tuner.errors import InvalidSpec, Location, Problem
from tuner.spec.hints import nearest

_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")  # as Python shows a member of an enumeration
_LONGEST = 60
_FAR_TOO_MANY = 10_000  # to list each, which takes longer than finding them
_MOST = 100  # problems that are put into words: a hint takes a millisecond, and nobody reads more


def invalid(error: ValidationError, model: type[BaseModel] | None = None) -> InvalidSpec:
    """The error of ours that stands for a validation's."""
    if (count := error.error_count()) > _FAR_TOO_MANY:
        message = f"it has {count} mistakes: it is not a {error.title} at all"
        return InvalidSpec([Problem((), message)])
    return InvalidSpec(problems(error.errors(), model))


def summary(error: ValidationError, most: int = 3) -> str:
    """The first problems as one line, for a document that no person wrote."""
    found = problems(error.errors(include_url=False))
    shown = [str(problem) for problem in found[:most]]
    more = [f"and {len(found) - most} more"] if len(found) > most else []
    return "; ".join([*shown, *more])


def problems(
    items: Iterable[Mapping[str, Any]], model: type[BaseModel] | None = None
) -> list[Problem]:
    """Each of pydantic's error details as a problem; `model` knows the keys that are right.

    Beyond a hundred they are only counted.
    """
    found = list(items)
    shown = [_problem(item, model) for item in found[:_MOST] if not _is_echo(item, found)]
    more = len(found) - _MOST
    return [*shown, Problem((), f"and {more} more mistakes")] if more > 0 else shown


def reasons(error: ValidationError) -> str:
    """What is wrong with a single value, as part of a sentence."""
    return "; ".join(_plain(item["msg"]) for item in error.errors())


def _plain(message: str) -> str:
    """A pydantic message as part of a sentence: "Input should be …" becomes "input should be …"."""
    message = _MEMBER.sub(r"\1", message.removeprefix("Value error, "))
    if message[1:2].isupper():  # a name in capitals, such as SEGTUNE_TOKEN
        return message
    return message[:1].lower() + message[1:]


def _is_echo(item: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a sequence is called too short only because its items were refused."""
    if item["type"] != "too_short":
        return False
    place = item["loc"]
    return any(
        other["loc"][: len(place)] == place for other in items if len(other["loc"]) > len(place)
    )


def _problem(item: Mapping[str, Any], model: type[BaseModel] | None) -> Problem:
    """One error of pydantic, at the place that the document shows."""
    place, message = _place(item["loc"]), _plain(item["msg"])
    if item["type"] == "missing":
        return Problem(place, "is missing")
    if item["type"] == "extra_forbidden":
        valid = _keys_beside(item["loc"], model) if model else ()
        hint = f"; {nearest(str(place[-1]), valid)}" if valid else ""
        return Problem(place, f"no such key{hint}")
    if item["type"] == "space":
        return Problem((*place, item["ctx"]["path"]), message)
    if item["type"] in {"value_error", "dimension"} or place[:1] == ("header",):
        return Problem(place, message)  # a header may be a secret, and is not repeated
    hint = "; put it in quotes" if _lacks_quotes(item) else ""
    return Problem(place, f"{message}, not {_short(item['input'])}{hint}")


def _place(location: Location) -> Location:
    """The location without what pydantic adds: the tag between a range and what is in it."""
    is_tagged = location[:1] == ("space",) and location[3:4] in {("float",), ("int",), ("choice",)}
    return (*location[:3], *location[4:]) if is_tagged and len(location) > 4 else location


def _lacks_quotes(item: Mapping[str, Any]) -> bool:
    return item["type"] == "string_type" and isinstance(item["input"], bool | int | float)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}…"


def _keys_beside(location: Location, model: type[BaseModel]) -> tuple[str, ...]:
    """Keys that would have been right where an unknown one stands, if they are known."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        annotation: Any = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return tuple(model.model_fields)
