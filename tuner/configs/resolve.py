"""From a study's base recipe and drawn params to the full `TrialConfig` that is trained.

A base option that does not belong to the drawn component (momentum under adamw) is dropped; a
drawn one must apply. Options that are not set get their component's default, so that the config
says everything that happened.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from tuner.configs import catalog, paths
from tuner.configs.catalog import Component, Option
from tuner.configs.paths import FIELDS, NAMED, option_of, split_path
from tuner.configs.traits import DecoderTraits, EncoderTraits, LossTraits
from tuner.errors import InvalidSpec, Problem, UnknownComponent
from tuner.spec.config import DatasetConfig, Recipe, TrialConfig
from tuner.spec.hints import nearest
from tuner.spec.metrics import unknown_metric
from tuner.spec.validation import invalid
from tuner.wording import quantity

WEIGHT = Option(
    "weight", "float", 1.0, TypeAdapter(Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)])
)


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
        problems += _complete_section(tree[section], section, params)
    if not problems:
        problems += _complete_terms(tree["loss"])
        problems += _lacking_teacher(tree["loss"])
    problems += _complete_augment(tree["augment"])
    if not problems:
        problems += _complete_stride(tree["model"])
    if not problems:
        problems += _complete_rates(tree["model"], dataset.size)
    if problems:
        raise InvalidSpec(problems)
    return _parse(tree)


def complete(config: TrialConfig) -> TrialConfig:
    """Check a config that came from outside and fill in defaults. Raises InvalidSpec."""
    recipe = Recipe(**{name: getattr(config, name) for name in Recipe.model_fields})
    found = resolve(recipe, config.dataset, {}, seed=config.seed)
    by = config.best_by
    if by is not None and (wrong := unknown_metric(by.metric, config.dataset.classes)):
        raise InvalidSpec([Problem(("best_by", "metric"), wrong)])
    for change in config.changes:
        resolve(recipe, config.dataset, change.values)
    return found.model_copy(update={"changes": config.changes, "best_by": config.best_by})


def _parse(tree: dict[str, Any]) -> TrialConfig:
    try:
        return TrialConfig.model_validate(tree)
    except ValidationError as error:
        raise invalid(error, TrialConfig) from None


def _put(tree: dict[str, Any], path: str, value: object) -> Problem | None:
    if wrong := paths.unknown(path):
        return Problem((path,), wrong)
    section, key = split_path(path)
    tree[section][key] = value
    return None


def _complete_section(
    tree: dict[str, Any], section: str, params: Mapping[str, Any]
) -> list[Problem]:
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
    known = FIELDS[section] | own.keys()
    for key in [key for key in tree if option_of(f"{section}.{key}") not in known]:
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
        if option_of(f"{section}.{key}") in component.options
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
    return Problem((section, key), f"{names} has no option '{key}'; {nearest(key, valid)}")


def _complete_terms(tree: dict[str, Any]) -> list[Problem]:
    """Put drawn values into the terms of a sum of losses, and settle each like a loss, in place."""
    option = catalog.traits(LossTraits, tree["name"]).terms
    if option is None:
        return []
    terms = [dict(term) for term in tree[option]]
    problems = []
    for key in [key for key in tree if "." in key]:
        _, place, name = key.split(".")
        value = tree.pop(key)
        if int(place) < len(terms):
            terms[int(place)][name] = value
        else:
            message = (
                f"there are {quantity(len(terms), 'term')}, counted from 0; this names another"
            )
            problems.append(Problem(("loss", key), message))
    for position, term in enumerate(terms):
        problems += [
            Problem(("loss", ".".join((option, str(position), *map(str, where)))), message)
            for where, message in _complete_term(term, option)
        ]
    tree[option] = terms
    return problems


def _complete_term(term: dict[str, Any], option: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Fill in the options of one term in place; give what is wrong, by key."""
    try:
        component = catalog.find("loss", str(term.get("name", "")))
    except UnknownComponent as error:
        yield ("name",), error.problems[0].message
        return
    if option in component.options:
        yield ("name",), f"a term is one loss, not a {component.name} of others; list its terms"
        return
    own = {**component.options, "weight": WEIGHT}
    for key in sorted(term.keys() - own.keys() - {"name"}):
        hint = nearest(key, ("name", *own))
        yield (key,), f"{component.name} has no option '{key}'; {hint}"
    for key, known in own.items():
        term[key], wrong = known.check(term.get(key, known.default))
        if wrong:
            yield (key,), f"{wrong}, not {term[key]!r}"
    for problem in _lacking_teacher(term):
        yield tuple(map(str, problem.location[1:])), problem.message


def _lacking_teacher(loss: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of a loss, complete otherwise, that needs a teacher and names none."""
    option = catalog.traits(LossTraits, str(loss["name"])).teacher
    if option is not None and not loss.get(option):
        message = (
            f"{loss['name']} learns from a trained model; name its model.pt, below the workers' "
            "data roots or by an address with #sha256="
        )
        yield Problem(("loss", option), message)


def _complete_augment(tree: dict[str, Any]) -> list[Problem]:
    problems = []
    known = catalog.components("augment")
    for name in tree:
        if name not in known:
            message = catalog.unknown("augment", name, tuple(known))
            problems.append(Problem(("augment", name), message))
    for name, component in known.items():
        if component.plugin is not None and name not in tree:
            continue  # a config says nothing of packages that it does not need
        option = component.options["strength"]
        tree[name], wrong = option.check(tree.get(name, option.default))
        if wrong:
            problems.append(Problem(("augment", name), f"{wrong}, not {tree[name]!r}"))
    return problems


def _complete_stride(tree: dict[str, Any]) -> list[Problem]:
    """Choose the output stride, or say why the encoder cannot carry the decoder."""
    wanted = catalog.traits(DecoderTraits, tree["decoder"]).output_strides
    offered = catalog.traits(EncoderTraits, tree["encoder"]).output_strides
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


def _complete_rates(tree: dict[str, Any], size: tuple[int, int]) -> list[Problem]:
    """Choose atrous rates by the output stride, or refuse those that reach nothing but padding."""
    defaults = catalog.traits(DecoderTraits, tree["decoder"]).rates
    if defaults is None:
        return []
    stride = tree["output_stride"]
    if tree["atrous_rates"] is None:
        tree["atrous_rates"] = defaults[stride]
    height, width = (-(-side // stride) for side in size)
    most = max(height, width) - 1
    beyond = [rate for rate in tree["atrous_rates"] if rate > most]
    if not beyond or tuple(tree["atrous_rates"]) == defaults[stride]:
        return []
    message = (
        f"atrous rate {beyond[0]} steps over the whole feature map, {height}×{width} for images of "
        f"{size[0]}×{size[1]} at output stride {stride}, so that a 3×3 kernel is left with its "
        f"middle; "
    )
    hint = f"use rates from 1 to {most}" if most >= 1 else "use larger images"
    return [Problem(("model", "atrous_rates"), message + hint)]


def _list(strides: Iterable[int]) -> str:
    return " or ".join(str(stride) for stride in strides)
