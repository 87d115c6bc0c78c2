"""The catalog of components: a component file's stem is its name; no file lists the others.

Listing and checking read the files as text, so that a server without torch knows every loss,
decoder and schedule, its options and their defaults. Only `load` imports a component.

The contract of a component file is one entry function, `build` unless `ENTRIES` says otherwise.
Its positional parameters come from the caller; its keyword-only parameters are the options that
a study may set, each with a type that pydantic can check and a default.
A file that serves several names (an encoder family) says so: `NAMES = ("resnet18", …)`. One that
serves every suitable model of timm also gives the `PREFIX` of their names, and by timm's file the
`STRIDES` that they can have; its `NAMES` are examples.
"""

import ast
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tuner.configs import _timm
from tuner.errors import Problem, UnknownComponent
from tuner.spec.hints import nearest
from tuner.spec.validation import plain

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
            return value, "; ".join(plain(item["msg"]) for item in error.errors())


@dataclass(frozen=True, slots=True)
class Component:
    """One component file, read as text."""

    kind: str
    name: str
    module: str
    summary: str
    options: Mapping[str, Option]
    constants: Mapping[str, Any]


@cache
def components(kind: str) -> Mapping[str, Component]:
    """Every component of a kind by name; imports none of them."""
    found: dict[str, Component] = {}
    for path in sorted((_ROOT / FOLDERS[kind]).glob("[!_]*.py")):
        for component in _read(kind, path):
            found[component.name] = component
    return dict(sorted(found.items()))


def read_all() -> None:
    """Read every component file now, not when it is first asked for: a tenth of a second."""
    for kind in FOLDERS:
        components(kind)


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
        if name.startswith(prefix := component.constants.get("PREFIX", f"{name}…")):
            return _of_timm(component, name, prefix)
    raise _unknown(kind, name, names(kind))


def load(kind: str, name: str) -> ModuleType:
    """Import the component's file. Raises UnknownComponent."""
    return importlib.import_module(find(kind, name).module)


def _of_timm(family: Component, name: str, prefix: str) -> Component:
    """The family as the component of one of its models; where timm is missing, of any name."""
    files, strides = _timm.files(), family.constants["STRIDES"]
    if not files:
        return replace(family, name=name)
    file = files.get(name.removeprefix(prefix))
    if file is None:
        usable = tuple(prefix + model for model, other in files.items() if other in strides)
        raise _unknown(family.kind, name, usable)
    if file not in strides:
        message = f"'{name}' gives no features at strides 4 to 32 of an image of any size"
        raise UnknownComponent([Problem((family.kind,), message)])
    constants = {**family.constants, "OUTPUT_STRIDES": strides[file]}
    return replace(family, name=name, constants=constants)


def _unknown(kind: str, name: str, valid: tuple[str, ...]) -> UnknownComponent:
    message = f"no {kind} is called '{name}'; {nearest(name, valid)}"
    return UnknownComponent([Problem((kind,), message)])


def _read(kind: str, path: Path) -> list[Component]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    constants = _constants(tree)
    entry = ENTRIES.get(kind, "build")
    module = ".".join(("tuner", *path.relative_to(_ROOT).with_suffix("").parts))
    function = next(
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == entry
    )
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    options = _options(function)
    return [
        Component(kind, name, module, summary, options, constants)
        for name in constants.get("NAMES", (path.stem,))
    ]


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Module-level names in capitals whose value is a literal."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target, value = node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            target, value = node.target.id, node.value
        else:
            continue
        try:
            literal = ast.literal_eval(value)
        except ValueError:
            continue
        if target.isupper():
            found[target] = literal
    return found


def _options(function: ast.FunctionDef) -> dict[str, Option]:
    found = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if argument.annotation is None or default is None:
            raise TypeError(f"option {argument.arg} of {function.name} needs a type and a default")
        text = ast.unparse(argument.annotation)
        # The text is a type in our own source; only names of `_ANNOTATIONS` resolve in it.
        annotation = eval(text, {"__builtins__": {}}, dict(_ANNOTATIONS))  # noqa: S307
        found[argument.arg] = Option(
            argument.arg, text, ast.literal_eval(default), TypeAdapter(annotation)
        )
    return found
