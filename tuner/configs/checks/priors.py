"""Whether a study's prior speaks of what the study searches."""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.configs.presets import presets
from tuner.configs.recipes import fitting, recipe_params
from tuner.errors import InvalidSpec, Problem
from tuner.spec.hints import nearest
from tuner.spec.study import StudySpec


def prior_problems(spec: StudySpec) -> Iterator[Problem]:
    """Problems of the prior of a study whose base recipe and space have none."""
    if spec.search.prior is None:
        return
    for index, config in enumerate(spec.search.prior.configs):
        for problem in _config_problems(spec, config):
            yield Problem(("search", "prior", "configs", index, *problem.location), problem.message)
    for index, name in enumerate(spec.search.prior.presets):
        if message := _wrong_preset(spec, name):
            yield Problem(("search", "prior", "presets", index), message)


def _config_problems(spec: StudySpec, config: Mapping[str, Any]) -> Iterator[Problem]:
    searched = tuple(spec.space.root)
    fits = fitting(spec, config)
    for path, value in config.items():
        if path not in searched:
            hint = nearest(path, searched)
            yield Problem((path,), f"{path} is not searched; set it in base, or search it; {hint}")
        elif path not in fits:
            message = f"{value!r} is never drawn: it is out of range, or its `when` does not hold"
            yield Problem((path,), message)
    try:
        recipe_params(spec, fits)
    except InvalidSpec as error:
        yield Problem((), f"does not make a valid config with the base recipe: {error}")


def _wrong_preset(spec: StudySpec, name: str) -> str | None:
    preset = presets().get(name)
    if preset is None:
        return f"no preset is called '{name}'; {nearest(name, tuple(presets()))}"
    values = {f"{preset.section}.{key}": value for key, value in preset.base.items()}
    if fitting(spec, values):
        return None
    return (
        f"{name} sets nothing that this study searches: its values of {preset.section} are not "
        "in the space"
    )
