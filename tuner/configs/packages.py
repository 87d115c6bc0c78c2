"""Which packages besides segtune a study or a config trains with, and in which versions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tuner.configs import catalog, plugins
from tuner.configs.paths import NAMED, component_kind, split_path
from tuner.spec.config import Recipe, TrialConfig
from tuner.spec.space import Choice
from tuner.spec.study import StudySpec

_Name = tuple[str, str]  # kind and name of a component


def of_config(config: TrialConfig) -> Mapping[str, str]:
    """The packages that a trial trains with."""
    if not plugins.allowed():
        return {}
    named = [*_in_recipe(config), ("dataset", config.dataset.format)]
    return _packages(named + [name for one in config.changes for name in _in_params(one.values)])


def of_study(spec: StudySpec) -> Mapping[str, str]:
    """The packages that any trial of a study may train with."""
    return _packages(_in_study(spec)) if plugins.allowed() else {}


def withheld(spec: StudySpec) -> str | None:
    """Why a study cannot go on here: it names what an installed package gives, and may not."""
    search = spec.search
    named = [*_in_study(spec), ("sampler", search.sampler.name), ("pruner", search.pruner.name)]
    unknown = (
        one for one in named if one[1] != "auto" and one[1] not in catalog.components(one[0])
    )
    return next((why for one in unknown if (why := catalog.withheld(*one))), None)


def _in_study(spec: StudySpec) -> Iterator[_Name]:
    """The components that a study names for training."""
    yield from _in_recipe(spec.base)
    yield "dataset", spec.dataset.format
    for path, _, dimension in spec.space.dimensions():
        for value in dimension.choice if isinstance(dimension, Choice) else (None,):
            yield from _in_params({path: value})
    for params in spec.search.prior.configs if spec.search.prior else ():
        yield from _in_params(params)


def usable() -> Mapping[str, str]:
    """The allowed packages of this machine that give all that they say, for a worker to name."""
    left_out = {one.package for one in catalog.broken(catalog.TRAINING)}
    return {name: version for name, version in plugins.installed().items() if name not in left_out}


def _in_recipe(recipe: Recipe) -> Iterator[_Name]:
    """The components that a recipe names."""
    for section, fields in NAMED.items():
        if section != "dataset":
            for field, kind in fields.items():
                yield kind, str(getattr(getattr(recipe, section), field))
    yield from _in_terms(recipe.loss.options.get("terms"))
    yield from (("augment", name) for name in recipe.augment.strengths)


def _in_params(params: Mapping[str, Any]) -> Iterator[_Name]:
    """The components that params name, by their paths or by their values."""
    for path, value in params.items():
        section, key = split_path(path)
        if section == "augment":
            yield "augment", key
        elif path == "loss.terms":
            yield from _in_terms(value)
        elif section == "loss" and key.startswith("terms.") and key.endswith(".name"):
            yield "loss", str(value)
        elif kind := component_kind(path):
            yield kind, str(value)


def _in_terms(terms: object) -> Iterator[_Name]:
    for term in terms if isinstance(terms, list | tuple) else ():
        if isinstance(term, Mapping):
            yield "loss", str(term.get("name"))


def _packages(named: Iterable[_Name]) -> Mapping[str, str]:
    found = (catalog.components(kind).get(name) for kind, name in dict.fromkeys(named))
    given = [one.plugin for one in found if one is not None and one.plugin is not None]
    return {plugin.package: plugin.version for plugin in sorted(given, key=str)}
