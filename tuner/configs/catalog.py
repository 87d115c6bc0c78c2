"""The catalog of components: a component file's stem is its name; no file lists the others.

Listing and checking read the files as text, so that a server without torch knows every loss,
decoder and schedule, its options and their defaults. Only `load` imports a component.

The contract of a component file is one entry function, `build` unless `ENTRIES` says otherwise.
Its positional parameters come from the caller; its keyword-only parameters are the options that
a study may set, each with a type that pydantic can check and a default.
What else a file says of itself it says in capitals at its top: see `tuner.configs.traits`.
Files of other packages are components too, where the operator allows it: see
`tuner.configs.plugins`.
"""

import ast
import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tuner.configs import plugins, timm_names
from tuner.configs.plugins import Broken, Plugin
from tuner.configs.traits import OF_KIND, EncoderTraits, Traits
from tuner.errors import InvalidInput, PackageMissing, Problem, UnknownComponent
from tuner.spec.config import TrialConfig
from tuner.spec.hints import nearest
from tuner.spec.validation import problems, reasons

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=Traits)

FOLDERS: Mapping[str, str] = {
    "encoder": "training/encoders",
    "decoder": "training/decoders",
    "loss": "training/losses",
    "optimizer": "training/optimizers",
    "schedule": "training/schedules",
    "augment": "training/augment",
    "dataset": "training/datasets",
    "sampler": "search/samplers",
    "pruner": "search/pruners",
}
ENTRIES: Mapping[str, str] = {"dataset": "open_split"}
SEARCHING = ("sampler", "pruner")  # kinds that a server imports; a worker has no use for them
TRAINING = tuple(kind for kind in FOLDERS if kind not in SEARCHING)
_CALLED = {"augment": "augmentation"}
_RESERVED = {"sampler": {"auto"}, "pruner": {"auto"}}
_SECTIONS = {"decoder": "model", "encoder": "model"}  # else the kind's own
_ROOT = Path(__file__).parents[1]
_ANNOTATIONS = {
    "Annotated": Annotated,
    "Field": Field,
    "Literal": Literal,
    **{kind.__name__: kind for kind in (bool, int, float, str, list, tuple, dict)},
}


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword-only parameter of a component: what a study may set."""

    name: str
    annotation: str
    default: Any
    adapter: TypeAdapter[Any]

    def check(self, value: object) -> tuple[Any, str | None]:
        """Give the value as the component takes it, and what is wrong with it, if anything."""
        try:
            return self.adapter.validate_python(value), None
        except ValidationError as error:
            return value, reasons(error)


@dataclass(frozen=True, slots=True)
class Component:
    """One component file, read as text."""

    kind: str
    name: str
    module: str
    summary: str
    options: Mapping[str, Option]
    traits: Traits
    plugin: Plugin | None = None


def components(kind: str) -> Mapping[str, Component]:
    """Every component of a kind by name; imports none of them but plug-ins that search.

    Raises:
        InvalidInput: a plug-in has the name of another component.
    """
    return _merged(kind, plugins.state())[0]


def broken(kinds: Iterable[str] = FOLDERS) -> tuple[Broken, ...]:
    """What allowed packages should give, of these kinds, and do not. Raises InvalidInput."""
    found = (one for kind in kinds for one in _merged(kind, plugins.state())[1])
    return (*plugins.missing(), *found)


@cache
def built_in(kind: str) -> Mapping[str, Component]:
    """The components of a kind that segtune itself has, by name."""
    found: dict[str, Component] = {}
    for path in sorted((_ROOT / FOLDERS[kind]).glob("[!_]*.py")):
        module = ".".join(("tuner", *path.relative_to(_ROOT).with_suffix("").parts))
        for component in parsed(kind, module, path.read_text(encoding="utf-8")):
            found[component.name] = component
    return dict(sorted(found.items()))


@cache
def _merged(
    kind: str, _: tuple[str, tuple[str, ...]]
) -> tuple[Mapping[str, Component], tuple[Broken, ...]]:
    """The components of a kind with those of plug-ins, and the plug-ins that are left out."""
    found, left_out = dict(built_in(kind)), list[Broken]()
    for plugin in plugins.offered_by_allowed(kind):
        try:
            given = _read(plugin)
        except (Exception, SystemExit) as error:  # segtune goes on without what others broke
            reason = str(error) if isinstance(error, TypeError) else _said(error)
            left_out.append(Broken(str(plugin), plugin.package, reason))
            continue
        for component in given:
            _check_name(component, plugin, found)
            found[component.name] = component
    return dict(sorted(found.items())), tuple(left_out)


def _read(plugin: Plugin) -> list[Component]:
    """The components of a plug-in's file; a sampler or pruner is imported, to see that it can be.

    Raises TypeError, with the reason, if it breaks the contract of its kind; or what its code does.
    """
    kind, text = plugin.kind, plugins.source(plugin)
    given = [
        replace(one, name=one.name if one.traits.names else plugin.name, plugin=plugin)
        for one in parsed(kind, plugin.module, text)
    ]
    section = TrialConfig.model_fields.get(_SECTIONS.get(kind, kind))
    fields = getattr(section.annotation, "model_fields", {}) if section else {}
    for one in given:
        if isinstance(one.traits, EncoderTraits) and one.traits.prefix is not None:
            raise TypeError(f"{plugin.module}: PREFIX is for segtune's own; list the NAMES")
        if kind == "augment" and "strength" not in one.options:
            raise TypeError(f"{plugin.module}: build needs the option strength")
        for option in one.options.values():
            if option.name in fields:
                raise TypeError(f"{plugin.module}: option {option.name} hides a field; rename it")
            if wrong := option.check(option.default)[1]:
                raise TypeError(f"{plugin.module}: the default of {option.name}: {wrong}")
    if kind in SEARCHING:
        importlib.import_module(plugin.module)
    return given


def _check_name(component: Component, plugin: Plugin, known: Mapping[str, Component]) -> None:
    """Raise InvalidInput where another component has the name: it would be another one's study."""
    kind, name = component.kind, component.name
    families = [
        each.traits.prefix for each in known.values() if isinstance(each.traits, EncoderTraits)
    ]
    other = known.get(name)
    if other is None:
        is_taken = name in _RESERVED.get(kind, ()) or any(
            prefix is not None and name.startswith(prefix) for prefix in families
        )
        if not is_taken:
            return
    owner = "segtune itself" if other is None or other.plugin is None else str(other.plugin)
    message = (
        f"the {kind} '{name}' of {plugin} has a name that {owner} gives already; a plug-in cannot "
        f"take another's place: rename it there, or take {plugin.package} out of {plugins.VARIABLE}"
    )
    raise InvalidInput([Problem((plugins.VARIABLE,), message)])


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def read_all(kinds: Iterable[str] = FOLDERS) -> None:
    """Read every component file now, not when it is first asked for: a tenth of a second.

    What is left out of the plug-ins is logged.

    Raises:
        InvalidInput: a plug-in has the name of another component.
    """
    kinds = tuple(kinds)
    for kind in kinds:
        components(kind)
    for one in broken(kinds):
        logger.error("%s", one)


def names(kind: str) -> tuple[str, ...]:
    """Names of every component of a kind, sorted."""
    return tuple(components(kind))


def find(kind: str, name: str) -> Component:
    """The component of that name.

    Raises:
        UnknownComponent: no file carries the name; the message gives the nearest that exist.
    """
    known = components(kind)
    if name in known:
        return known[name]
    for component in known.values():
        traits = component.traits
        if isinstance(traits, EncoderTraits) and name.startswith(traits.prefix or f"{name}…"):
            return _of_timm(component, name, traits)
    raise _unknown(kind, name, names(kind))


def traits(kind: type[T], name: str) -> T:
    """What a component says of itself. Raises UnknownComponent."""
    found = find(kind.kind, name).traits
    assert isinstance(found, kind)
    return found


def all_traits(kind: type[T]) -> Mapping[str, T]:
    """What every component of a kind says of itself, by name."""
    return {name: traits(kind, name) for name in components(kind.kind)}


def load(kind: str, name: str) -> ModuleType:
    """Import the component's file.

    Raises:
        UnknownComponent: no file carries the name.
        PackageMissing: it is a plug-in's, and cannot be imported on this machine.
    """
    component = find(kind, name)
    try:
        return importlib.import_module(component.module)
    except (Exception, SystemExit) as error:
        if component.plugin is None:
            raise
        raise PackageMissing(
            f"plug-in {component.plugin} cannot be imported: {_said(error)}"
        ) from error


def _of_timm(family: Component, name: str, traits: EncoderTraits) -> Component:
    """The family as the component of one of its models; where timm is missing, of any name."""
    files, strides, prefix = timm_names.files(), traits.strides, traits.prefix or ""
    if not files:
        return replace(family, name=name)
    file = files.get(name.removeprefix(prefix))
    if file is None:
        usable = tuple(prefix + model for model, other in files.items() if other in strides)
        raise _unknown(family.kind, name, usable)
    if file not in strides:
        message = f"'{name}' gives no features at strides 4 to 32 of an image of any size"
        raise UnknownComponent([Problem((family.kind,), message)])
    return replace(
        family, name=name, traits=traits.model_copy(update={"output_strides": strides[file]})
    )


def _unknown(kind: str, name: str, valid: tuple[str, ...]) -> UnknownComponent:
    return UnknownComponent([Problem((kind,), unknown(kind, name, valid))])


def unknown(kind: str, name: str, valid: tuple[str, ...]) -> str:
    """What to say of a name that no component has: which package would give it, or the nearest."""
    what = _CALLED.get(kind, kind)
    return withheld(kind, name) or f"no {what} is called '{name}'; {nearest(name, valid)}"


def withheld(kind: str, name: str) -> str | None:
    """Why a component of an installed package cannot be used; None where there is no such one."""
    what = _CALLED.get(kind, kind)
    for plugin in plugins.offered():
        if plugin.kind != kind or plugin.name != name:
            continue
        if plugin.package not in plugins.allowed():
            return (
                f"the {what} '{name}' is of the package {plugin.package} {plugin.version}, which "
                f"is installed but not allowed; allow it by {plugins.VARIABLE}={plugin.package} on "
                "server and workers"
            )
        for one in broken((kind,)):
            if one.who == str(plugin):
                return f"no {what} '{name}': {one}"
    return None


def parsed(kind: str, module: str, text: str) -> list[Component]:
    """The components of a file's text: one, or one for each of its names.

    Raises TypeError if the file breaks the contract of its kind; the message says how.
    """
    tree, stem = ast.parse(text, filename=module), module.rpartition(".")[2]
    traits, entry = _traits(kind, tree, module), ENTRIES.get(kind, "build")
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    function = next((one for one in functions if one.name == entry), None)
    if function is None:
        raise TypeError(f"{module} has no function {entry}, which a {kind} needs")
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    options = _options(function)
    names = traits.names or (stem,)
    return [Component(kind, name, module, summary, options, traits) for name in names]


def _traits(kind: str, tree: ast.Module, module: str) -> Traits:
    """What a file says in capitals. Raises TypeError if its kind does not know it."""
    found, known = dict[str, Any](), OF_KIND[kind]
    for node in tree.body:
        for name, value in _assigned(node):
            if name.startswith("_") or not name.isupper():
                continue
            if name.lower() not in known.model_fields:
                hint = nearest(name, tuple(field.upper() for field in known.model_fields))
                message = (
                    f"{name} is not a trait of a {kind}; {hint}; a name of your own is _{name}"
                )
                raise TypeError(f"{module}: {message}")
            try:
                found[name.lower()] = ast.literal_eval(value)
            except ValueError:
                raise TypeError(f"{module}: {name} must be a literal, to be read as text") from None
    try:
        return known.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(
            f"{str(problem.location[0]).upper()}: {problem.message}"
            for problem in problems(error.errors())
        )
        raise TypeError(f"{module}: {wrong}") from None


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names that a statement of a module gives a value, with it."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value


def _options(function: ast.FunctionDef) -> dict[str, Option]:
    found = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if argument.annotation is None or default is None:
            raise TypeError(f"option {argument.arg} of {function.name} needs a type and a default")
        text = ast.unparse(argument.annotation)
        # The text is a type in our own source or in an allowed package's; only names of
        # `_ANNOTATIONS` resolve in it.
        annotation = eval(text, {"__builtins__": {}}, dict(_ANNOTATIONS))  # noqa: S307
        found[argument.arg] = Option(
            argument.arg, text, ast.literal_eval(default), TypeAdapter(annotation)
        )
    return found
