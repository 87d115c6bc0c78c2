"""Study and result files: read with the mistake's place named, written whole or not at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuner.atomic import replacing
from tuner.errors import InvalidInput, Malformed, Problem, StorageError
from tuner.spec import yaml_core
from tuner.spec.config import TrialConfig
from tuner.spec.documents import MAX_BYTES, Document, Language, read
from tuner.spec.stored import upgraded_result
from tuner.spec.validation import invalid
from tuner.spec.views import Best


def read_study(path: Path) -> dict[str, Any]:
    """A study file, YAML or JSON, as plain values. Raises InvalidInput, OSError."""
    value: dict[str, Any] = _read(path).value
    return value


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Name line and column of the file for every problem of the document that it holds."""
    try:
        yield
    except InvalidInput as error:
        document, name = _read(path), str(path)
        raise type(error)([document.placed(each, name) for each in error.problems]) from None


def read_result(path: Path) -> tuple[TrialConfig, Best | None]:
    """A best configuration as `segtune best` writes it, or a bare `TrialConfig`.

    Raises:
        InvalidInput: the file is neither.
        NewerDocument: a later release wrote it.
    """
    document = read_study(path)
    if "name" in document and "config" not in document:
        raise _refused(
            path, "this is a study; `segtune best` writes the configuration that it found"
        )
    document = upgraded_result(document, str(path))
    kind: type[Best] | type[TrialConfig] = Best if "config" in document else TrialConfig
    with blaming(path):
        try:
            found = kind.model_validate(document)
        except ValidationError as error:
            raise invalid(error, kind) from None
    return (found.config, found) if isinstance(found, Best) else (found, None)


def render(found: Best, *, yaml: bool) -> str:
    """A best configuration as JSON or YAML text that keeps every digit of every number."""
    document = found.model_dump(mode="json")
    return yaml_core.dump(document) if yaml else json.dumps(document, indent=2) + "\n"


def write(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never a part.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; choose another file, or make room for it there"
        ) from error


def _read(path: Path) -> Document:
    """The document in a file. Raises InvalidInput, OSError."""
    language: Language = "json" if path.suffix.lower() == ".json" else "yaml"
    limit = MAX_BYTES[language]
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise _refused(path, f"is larger than {limit // 1024} KiB: not a study, and not a result")
    try:
        document = read(raw, language, str(path))
    except Malformed as error:
        places = [place for place in (error.line, error.column) if place is not None]
        where = ":".join(map(str, (path, *places)))
        raise InvalidInput([Problem((), error.message, where)]) from None
    if not isinstance(document.value, dict):
        raise _refused(
            path, f"a study is a mapping with the keys name, dataset, …; {_kind(document)}"
        )
    return document


def _kind(document: Document) -> str:
    if document.value is None:
        return "this file is empty"
    name = "a list" if isinstance(document.value, list) else f"the single value {document.value!r}"
    return f"this file holds {name[:60]}"


def _refused(path: Path, message: str) -> InvalidInput:
    return InvalidInput([Problem((), message, str(path))])
