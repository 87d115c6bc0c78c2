"""A study's document as people write it: sections line by line, what is small on one line."""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.spec import yaml_core
from tuner.spec.study import StudySpec

_WIDTH = 100
_SPREAD = {"dataset", "base", "space"}  # always a key a line


def essential(spec: StudySpec) -> dict[str, Any]:
    """What a study says beyond the defaults, as shortly as can be; it means the same study."""
    document = spec.model_dump(mode="json", exclude_defaults=True)
    if "space" in document:
        document["space"] = {path: _ranges(found) for path, found in document["space"].items()}
    if "search" in document:
        document["search"] = {key: _short(value) for key, value in document["search"].items()}
    return document


def _ranges(alternatives: list[dict[str, Any]]) -> Any:
    """The ranges of a path, a single one by itself, with its conditions behind it."""
    found = [
        {**{key: value for key, value in one.items() if key != "when"}, **_when(one)}
        for one in alternatives
    ]
    return found[0] if len(found) == 1 else found


def _when(one: Mapping[str, Any]) -> dict[str, Any]:
    if not one.get("when"):
        return {}
    return {"when": {path: _alone(allowed) for path, allowed in one["when"].items()}}


def _alone(allowed: Any) -> Any:
    """The only value that is allowed by itself, unless it is a list."""
    is_one = isinstance(allowed, list) and len(allowed) == 1 and not isinstance(allowed[0], list)
    return allowed[0] if is_one else allowed


def _short(value: Any) -> Any:
    """A sampler or pruner without options by its name."""
    return value["name"] if isinstance(value, dict) and value.keys() == {"name"} else value


def written(document: Mapping[str, Any]) -> str:
    """The document as YAML."""
    return "".join(f"{line}\n" for key, value in document.items() for line in _section(key, value))


def _section(key: str, value: Any) -> Iterator[str]:
    line = f"{_flow(key)}: {_flow(value)}"
    is_open = isinstance(value, Mapping) and value and (key in _SPREAD or len(line) > _WIDTH)
    if not is_open:
        yield line
        return
    yield f"{_flow(key)}:"
    for name, part in value.items():
        yield from _entry(name, part)


def _entry(name: str, value: Any) -> Iterator[str]:
    """One key of a section; alternatives one below the other where they are long."""
    line = f"  {_flow(name)}: {_flow(value)}"
    are_several = isinstance(value, list) and all(isinstance(each, Mapping) for each in value)
    if len(line) <= _WIDTH or not are_several:
        yield line
        return
    yield f"  {_flow(name)}:"
    yield from (f"    - {_flow(each)}" for each in value)


def _flow(value: Any) -> str:
    return yaml_core.dump(value, flow=True)
