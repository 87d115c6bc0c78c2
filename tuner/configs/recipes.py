"""Recipes as points of a study's space: the base recipe, and what is expected to be good."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from tuner.configs.paths import split_path
from tuner.configs.presets import Preset, presets
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec
from tuner.spec.grid import as_drawn
from tuner.spec.space import Params, SearchSpace
from tuner.spec.study import StudySpec


def recipe_params(spec: StudySpec, values: Mapping[str, Any]) -> Params:
    """Params of the base recipe with some values changed, of every dimension that contains them.

    Raises InvalidSpec if the values do not make a config.
    """
    config = resolve(spec.base, spec.dataset, values).model_dump(mode="json")
    return point_of(spec.space, config)


def point_of(space: SearchSpace, config: Mapping[str, Any]) -> Params:
    """A whole config's values of all dimensions that are active and contain them."""
    params: Params = {}
    for path in space.ordered:
        section, key = split_path(path)
        active = space.active(path, params)
        if active and key in config[section] and active[1].contains(config[section][key]):
            params[path] = as_drawn(active[1], config[section][key])
    return params


def prior_points(spec: StudySpec) -> list[Params]:
    """Params of the study's prior, configs before presets, each once.

    What a preset says of paths that are not searched, or beyond their ranges, is left out; so is a
    preset that does not make a config with the base recipe.
    """
    prior = spec.search.prior
    if prior is None:
        return []
    found: list[Params] = []
    for values in (*prior.configs, *preset_values(prior.presets)):
        try:
            params = recipe_params(spec, fitting(spec, values))
        except InvalidSpec:
            continue
        if params not in found:
            found.append(params)
    return found


def preset_values(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Values by path of each combination of presets, one preset of each section."""
    sections: dict[str, list[Preset]] = {}
    for name in names:
        if preset := presets().get(name):
            sections.setdefault(preset.section, []).append(preset)
    for chosen in product(*sections.values()) if sections else ():
        yield {f"{p.section}.{key}": value for p in chosen for key, value in p.base.items()}


def fitting(spec: StudySpec, values: Mapping[str, Any]) -> Params:
    """The values that the space could have drawn, given each other and the base recipe."""
    base = recipe_params(spec, {})
    kept: Params = {}
    walked: Params = {}
    for path in spec.space.ordered:
        active = spec.space.active(path, walked)
        if active and path in values and active[1].contains(values[path]):
            kept[path] = walked[path] = values[path]
        elif active and path in base:
            walked[path] = base[path]
    return kept
