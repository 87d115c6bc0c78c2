"""From a study's base recipe and drawn params to the full `TrialConfig` that is trained.

A base option that does not belong to the drawn component (momentum under adamw) is dropped; a
drawn one must apply. Options that are not set get their component's default, so that the config
says everything that happened.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from tuner import catalog
from tuner.catalog import Component, Option
from tuner.errors import InvalidSpec, Problem, UnknownComponent
from tuner.spec.config import DatasetConfig, Recipe, TrialConfig

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
    if section != "seed"
}


def resolve(
    base: Recipe, dataset: DatasetConfig, params: Mapping[str, Any], *, seed: int = 0
) -> TrialConfig:
    """Give the full config of one trial.

    Raises:
        InvalidSpec: with a problem for each path, name or value that is not possible.
    """
    tree: dict[str, Any] = {**base.model_dump(), "dataset": dataset.model_dump(), "seed": seed}
    problems = [problem for path in params if (problem := _put(tree, path, params[path]))]
    for section in NAMED:
        problems += _settle(tree[section], section, params)
    problems += _settle_augment(tree["augment"])
    if not problems:
        problems += _settle_stride(tree["model"])
    if problems:
        raise InvalidSpec(problems)
    return _parse(tree)


def complete(config: TrialConfig) -> TrialConfig:
    """Check a config that came from outside and fill in defaults. Raises InvalidSpec."""
    recipe = Recipe(**{name: getattr(config, name) for name in Recipe.model_fields})
    return resolve(recipe, config.dataset, {}, seed=config.seed)


def _parse(tree: dict[str, Any]) -> TrialConfig:
    try:
        return TrialConfig.model_validate(tree)
    except ValidationError as error:
        raise InvalidSpec(
            [
                Problem(item["loc"], f"{catalog.plain(item['msg'])}, not {item['input']!r}")
                for item in error.errors()
            ]
        ) from None


def _put(tree: dict[str, Any], path: str, value: object) -> Problem | None:
    section, _, key = path.partition(".")
    if section not in FIELDS or section == "dataset" or not key or "." in key:
        sections = tuple(f"{name}.…" for name in FIELDS if name != "dataset")
        return Problem((path,), f"no config path '{path}'; paths are {', '.join(sections)}")
    if section == "training" and key not in FIELDS[section]:
        valid = tuple(f"training.{name}" for name in sorted(FIELDS[section]))
        return Problem((path,), f"no config path '{path}'; {catalog.nearest(path, valid)}")
    tree[section][key] = value
    return None


def _settle(tree: dict[str, Any], section: str, params: Mapping[str, Any]) -> list[Problem]:
    """Drop foreign options, fill in defaults and check values, in place."""
    chosen: list[Component] = []
    problems = []
    for field, kind in NAMED[section].items():
        try:
            chosen.append(catalog.find(kind, str(tree[field])))
        except UnknownComponent as error:
            problems.append(Problem((section, field), error.problems[0].message))
    if problems:
        return problems
    own = {name: option for component in chosen for name, option in component.options.items()}
    for key in [key for key in tree if key not in FIELDS[section] and key not in own]:
        problem = _foreign(section, key, chosen, drawn=f"{section}.{key}" in params)
        if problem:
            problems.append(problem)
        else:
            del tree[key]
    return [*problems, *_fill(tree, section, own)]


def _fill(tree: dict[str, Any], section: str, own: Mapping[str, Option]) -> Iterator[Problem]:
    """Give every option its value or its default, as the component takes it, in place."""
    for name, option in own.items():
        if name in FIELDS[section]:
            raise TypeError(f"option {name} hides a field of {section}; rename it")
        tree[name], wrong = option.check(tree.get(name, option.default))
        if wrong:
            yield Problem((section, name), f"{wrong}, not {tree[name]!r}")


def _foreign(section: str, key: str, chosen: Iterable[Component], *, drawn: bool) -> Problem | None:
    """What to say of an option that the chosen components do not take; None if it is dropped."""
    names = " with ".join(component.name for component in chosen)
    owners = {
        component.name
        for kind in NAMED[section].values()
        for component in catalog.components(kind).values()
        if key in component.options
    }
    if owners and not drawn:
        return None
    if owners:
        fields = " or ".join(f"{section}.{field}" for field in NAMED[section])
        return Problem(
            (section, key),
            f"'{key}' is drawn but {names} does not take it; "
            f"add `when` on {fields}: {', '.join(sorted(owners))}",
        )
    own = [name for component in chosen for name in component.options]
    valid = tuple(sorted({*FIELDS[section], *own}))
    return Problem((section, key), f"{names} has no option '{key}'; {catalog.nearest(key, valid)}")


def _settle_augment(tree: dict[str, Any]) -> list[Problem]:
    problems = []
    known = catalog.components("augment")
    for name in tree:
        if name not in known:
            hint = catalog.nearest(name, tuple(known))
            problems.append(
                Problem(("augment", name), f"no augmentation is called '{name}'; {hint}")
            )
    for name, component in known.items():
        option = component.options["strength"]
        tree[name], wrong = option.check(tree.get(name, option.default))
        if wrong:
            problems.append(Problem(("augment", name), f"{wrong}, not {tree[name]!r}"))
    return problems


def _settle_stride(tree: dict[str, Any]) -> list[Problem]:
    """Choose the output stride, or say why the encoder cannot carry the decoder."""
    wanted = catalog.find("decoder", tree["decoder"]).constants["OUTPUT_STRIDES"]
    offered = catalog.find("encoder", tree["encoder"]).constants["OUTPUT_STRIDES"]
    common = [stride for stride in wanted if stride in offered]
    if not common:
        return [
            Problem(
                ("model", "encoder"),
                f"encoder '{tree['encoder']}' gives output stride {_list(offered)}, but decoder "
                f"'{tree['decoder']}' needs {_list(wanted)}",
            )
        ]
    if tree["output_stride"] is None:
        tree["output_stride"] = common[0]
    elif tree["output_stride"] not in common:
        return [
            Problem(
                ("model", "output_stride"),
                f"{tree['encoder']} with {tree['decoder']} can have output stride "
                f"{_list(common)}, not {tree['output_stride']}",
            )
        ]
    return []


def _list(strides: Iterable[int]) -> str:
    return " or ".join(str(stride) for stride in strides)
