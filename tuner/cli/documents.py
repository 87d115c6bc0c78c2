"""Study and result files: read with the mistake's place named, written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tuner.errors import InvalidSpec, Problem
from tuner.spec.config import TrialConfig
from tuner.spec.views import Best


def read_study(path: Path) -> dict[str, Any]:
    """A study file, YAML or JSON, as plain values. Raises InvalidSpec."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSpec([Problem((str(path),), f"not YAML: {error}")]) from None
    if not isinstance(document, dict):
        kind = type(document).__name__
        message = f"a study is a mapping with the keys name, dataset, …, not a {kind}"
        raise InvalidSpec([Problem((str(path),), message)])
    try:
        json.dumps(document)
    except TypeError as error:
        message = f"{error}; put dates and times in quotes"
        raise InvalidSpec([Problem((str(path),), message)]) from None
    return document


def read_result(path: Path) -> tuple[TrialConfig, Best | None]:
    """A best configuration as `segtune best` writes it, or a bare `TrialConfig`.

    Raises:
        InvalidSpec: the file is neither.
    """
    document = read_study(path)
    kind: type[Best] | type[TrialConfig] = Best if "config" in document else TrialConfig
    try:
        found = kind.model_validate(document)
    except ValidationError as error:
        raise InvalidSpec(
            [Problem((str(path), *item["loc"]), item["msg"]) for item in error.errors()]
        ) from None
    return (found.config, found) if isinstance(found, Best) else (found, None)


def render(found: Best, *, yaml: bool) -> str:
    """A best configuration as JSON or YAML text that keeps every digit of every number."""
    document = found.model_dump(mode="json")
    return dump_yaml(document) if yaml else json.dumps(document, indent=2) + "\n"


def dump_yaml(document: Any) -> str:
    """Plain values as YAML in the order given."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def write(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never a part. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
