"""What a path into a config may be: `section.key`, as spaces, params, changes and presets say it.

A section has the fields of `tuner.spec.config` and, beside them, the options of the components
that it names. A term of a sum of losses is reached by its position: `loss.terms.1.weight`.
"""

import re
from collections.abc import Mapping

from tuner.configs import catalog
from tuner.spec.config import TrialConfig, may_change, split_path
from tuner.spec.hints import nearest

__all__ = [
    "FIELDS",
    "FIXED",
    "NAMED",
    "component_kind",
    "is_term",
    "may_change",
    "option_of",
    "searchable",
    "section_of",
    "split_path",
    "unknown",
    "unsearchable",
]

# Section → the fields of it that name a component, with the component's kind.
NAMED: Mapping[str, Mapping[str, str]] = {
    "dataset": {"format": "dataset"},
    "model": {"decoder": "decoder", "encoder": "encoder"},
    "optimizer": {"name": "optimizer"},
    "schedule": {"name": "schedule"},
    "loss": {"name": "loss"},
}
FIELDS: Mapping[str, frozenset[str]] = {
    section: frozenset(field.annotation.model_fields)  # type: ignore[union-attr]  # all are sections
    for section, field in TrialConfig.model_fields.items()
    if section not in {"seed", "changes", "best_by"}
}
FIXED = {
    "seed": "drawn by the search itself; confirm leaders with fresh seeds instead",
}
_TERM = re.compile(r"loss\.terms\.\d+\.[a-z_]+")


def section_of(path: str) -> str:
    """The section that a path is in."""
    return split_path(path)[0]


def is_term(path: str) -> bool:
    """Whether the path reaches into a term of a sum of losses, counted from 0."""
    return _TERM.fullmatch(path) is not None


def option_of(path: str) -> str:
    """The option that a path is about: `loss.terms.1.weight` is about `terms`."""
    key = split_path(path)[1]
    return key.partition(".")[0] if is_term(path) else key


def component_kind(path: str) -> str | None:
    """The kind of component that the value at the path names, if it names one."""
    section, key = split_path(path)
    return NAMED.get(section, {}).get(key)


def unknown(path: str) -> str | None:
    """Why no param may have the path, whatever the components; None where one may."""
    section, key = split_path(path)
    has_key = bool(key) and (path.count(".") == 1 or is_term(path))
    if section not in FIELDS or section == "dataset" or not has_key:
        sections = tuple(f"{name}.…" for name in FIELDS if name != "dataset")
        return f"no config path '{path}'; paths are {', '.join(sections)}"
    if section == "training" and key not in FIELDS[section]:
        valid = tuple(f"training.{name}" for name in sorted(FIELDS[section]))
        return f"no config path '{path}'; {nearest(path, valid)}"
    return None


def unsearchable(path: str) -> str | None:
    """Why a space may not have the path, or None."""
    if path in FIXED:
        return f"{path} cannot be searched: {FIXED[path]}"
    if section_of(path) == "dataset":
        return "the data set cannot be searched, or trials could not be compared"
    if is_term(path):
        return None  # whether the term is there and takes it is seen where it is tried
    valid = searchable()
    return None if path in valid else f"no config path '{path}'; {nearest(path, valid)}"


def searchable() -> tuple[str, ...]:
    """Every path that a space may name, sorted."""
    found = {f"augment.{name}" for name in catalog.names("augment")}
    for section, fields in FIELDS.items():
        if section in {"dataset", "augment"}:
            continue
        found |= {f"{section}.{field}" for field in fields}
        for kind in NAMED.get(section, {}).values():
            for component in catalog.components(kind).values():
                found |= {f"{section}.{option}" for option in component.options}
    return tuple(sorted(found - set(FIXED)))
