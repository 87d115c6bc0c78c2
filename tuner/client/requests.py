"""What the client sends: studies as bodies, ids as paths, only those parameters that are given."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from tuner.errors import InvalidInput, Problem
from tuner.spec.config import Section
from tuner.spec.study import StudySpec
from tuner.spec.validation import problems

S = TypeVar("S", bound=Section)
StudyInput = StudySpec | Mapping[str, Any] | str | os.PathLike[str]
StudyId = int | str


def document(study: StudyInput) -> tuple[bytes, str]:
    """A study's bytes and their content type. Raises InvalidInput for a file that is not there."""
    if isinstance(study, StudySpec):
        return study.model_dump_json().encode(), "application/json"
    if isinstance(study, Mapping):
        return json.dumps(study).encode(), "application/json"
    path = Path(study)
    try:
        kind = "application/json" if path.suffix == ".json" else "application/yaml"
        return path.read_bytes(), kind
    except OSError as error:
        _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> NoReturn:
    message = f"cannot read the study file {path}: {error.strerror}; give the path of a YAML file"
    raise InvalidInput([Problem((), message)]) from error


def study(name: StudyId) -> str:
    """The path of a study."""
    return f"studies/{quote(str(name), safe='')}"


def worker(name: str) -> str:
    """The path of a worker."""
    return f"workers/{quote(name, safe='')}"


def valid(kind: type[S], /, **values: Any) -> S:
    """What is to be sent. Raises InvalidInput for a value that no server takes."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(problems(error.errors())) from None


def body(model: Section, *, keep_null: bool = False) -> dict[str, Any]:
    """A JSON body without what is None, or without what was left out."""
    content = model.model_dump_json(exclude_none=not keep_null, exclude_unset=keep_null)
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def given(query: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in query.items() if value is not None}
