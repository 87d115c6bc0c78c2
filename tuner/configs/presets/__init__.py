"""Presets: tested search spaces for one section of a config, each a YAML file beside this one.

A preset's file says its `summary`, its `section`, the `base` of that section and the `space` over
it. Ranges follow the published recipes; what one component needs is drawn under its condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tuner.errors import InvalidInput, Problem
from tuner.spec.documents import parse_yaml
from tuner.spec.hints import nearest

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Preset:
    """Base values and search space of one section of a config."""

    name: str
    summary: str
    section: str
    base: Mapping[str, Any]
    space: Mapping[str, Any]


@cache
def presets() -> Mapping[str, Preset]:
    """Every preset by name, by section and name."""
    found = [_read(path) for path in sorted(_FOLDER.glob("*.yaml"))]
    ordered = sorted(found, key=lambda preset: (preset.section, preset.name))
    return {preset.name: preset for preset in ordered}


def choose(names: Sequence[str]) -> tuple[Preset, ...]:
    """The presets of these names, one per section at most.

    Raises:
        InvalidInput: a name is unknown, or two presets are about the same section.
    """
    chosen: dict[str, Preset] = {}
    for name in names:
        if name not in presets():
            hint = nearest(name, tuple(presets()))
            raise InvalidInput([Problem(("preset",), f"no preset is called '{name}'; {hint}")])
        preset = presets()[name]
        other = chosen.setdefault(preset.section, preset)
        if other is not preset:
            message = f"{other.name} and {name} both set {preset.section}; choose one of them"
            raise InvalidInput([Problem(("preset",), message)])
    return tuple(chosen.values())


def _read(path: Path) -> Preset:
    return Preset(name=path.stem, **parse_yaml(path.read_bytes()))
