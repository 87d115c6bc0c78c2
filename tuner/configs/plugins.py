"""Components of other packages: which entry points there are, and which the operator allows.

A package names each of its component files in the group of its kind (`segtune.losses`), and it is
used only where `SEGTUNE_PLUGINS` lists the package. Nothing here imports any of its modules.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint, distributions
from types import MappingProxyType

VARIABLE = "SEGTUNE_PLUGINS"
GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "encoder": "segtune.encoders",
        "decoder": "segtune.decoders",
        "loss": "segtune.losses",
        "optimizer": "segtune.optimizers",
        "schedule": "segtune.schedules",
        "augment": "segtune.augment",
        "dataset": "segtune.datasets",
        "sampler": "segtune.samplers",
        "pruner": "segtune.pruners",
    }
)
_KINDS = {group: kind for kind, group in GROUPS.items()}
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_-]+")  # what a config's path can hold
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of an installed package: one component file, under its public name."""

    kind: str
    name: str
    module: str
    package: str
    version: str

    def __str__(self) -> str:
        """Give `acme-seg 1.2 (segtune.losses: focus = acme_seg.focus)`."""
        return f"{self.package} {self.version} ({GROUPS[self.kind]}: {self.name} = {self.module})"


@dataclass(frozen=True, slots=True)
class Broken:
    """What an allowed package should have given and does not, with the reason."""

    who: str
    package: str
    reason: str

    def __str__(self) -> str:
        """Give who is left out, and why."""
        return f"plug-in {self.who} is left out: {self.reason}"


def normalized(package: str) -> str:
    """A package's name as it is compared: `Acme_Seg` is `acme-seg`."""
    return re.sub(r"[-_.]+", "-", package).lower()


def package_names(given: Iterable[str]) -> tuple[str, ...]:
    """The names of a setting, each once. Raises ValueError for what no package can be called."""
    names = [name.strip() for name in given]
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise ValueError(
                f"'{name}' is not the name of a package; list names as `pip list` shows them, "
                "separated by commas"
            )
    return tuple(dict.fromkeys(map(normalized, names)))


def allow(packages: Iterable[str]) -> None:
    """Let this process, and those that it starts, use the components of these packages alone.

    It is written to the environment, which trainers, ranks and page processes inherit.
    """
    if names := package_names(packages):
        os.environ[VARIABLE] = ",".join(names)
    else:
        os.environ.pop(VARIABLE, None)


def allowed() -> tuple[str, ...]:
    """The packages whose components may be used, normalised."""
    return _listed(os.environ.get(VARIABLE, ""))


@cache
def _listed(text: str) -> tuple[str, ...]:
    return package_names(part for part in text.split(",") if part.strip())


def installed() -> Mapping[str, str]:
    """The versions of the allowed packages that are installed here."""
    return {name: _version(name) for name in allowed() if name in _found(tuple(sys.path))}


def offered() -> tuple[Plugin, ...]:
    """Every entry point for a component that is installed here, allowed or not."""
    return tuple(
        Plugin(_KINDS[point.group], point.name, point.value.strip(), package, distribution.version)
        for package, distribution in _found(tuple(sys.path)).items()
        for point in _points(distribution)
    )


def offered_by_allowed(kind: str) -> tuple[Plugin, ...]:
    """The entry points of a kind that may be used."""
    names = allowed()
    return tuple(one for one in offered() if one.kind == kind and one.package in names)


def missing() -> tuple[Broken, ...]:
    """Allowed packages that are not installed here, or have no component."""
    known, giving = _found(tuple(sys.path)), {plugin.package for plugin in offered()}
    return tuple(
        Broken(
            name,
            name,
            f"it has no entry point in {', '.join(GROUPS.values())}"
            if name in known
            else f"no package of that name is installed here; install it, or take it out of "
            f"{VARIABLE}",
        )
        for name in allowed()
        if name not in giving
    )


def state() -> tuple[str, tuple[str, ...]]:
    """All that decides which plug-ins there are: a key to keep answers by."""
    text = os.environ.get(VARIABLE, "")
    return (text, tuple(sys.path)) if text else ("", ())


def source(plugin: Plugin) -> str:
    """The text of a plug-in's file, which is found without importing the packages around it.

    Raises:
        TypeError: the entry point is not a name and a module, or the module's text is not there.
    """
    if not _NAME.fullmatch(plugin.name):
        raise TypeError(f"'{plugin.name}' cannot stand in a study; use letters, digits, _ and -")
    if not _MODULE.fullmatch(plugin.module):
        raise TypeError(
            f"'{plugin.module}' is not a module; name the component's file, as in acme_seg.focus"
        )
    found = _located(plugin.module)
    get_source = getattr(found.loader, "get_source", None) if found is not None else None
    text: str | None = get_source(plugin.module) if get_source is not None else None
    if text is None:
        raise TypeError(f"there is no module {plugin.module} whose text can be read")
    return text


def _located(module: str) -> ModuleSpec | None:
    """Where a module is; `importlib.util.find_spec` would import the packages that it is in."""
    path, spec, parts = None, None, module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((each for each in specs if each is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def _version(package: str) -> str:
    return _found(tuple(sys.path))[package].version


@cache
def _found(path: tuple[str, ...]) -> Mapping[str, Distribution]:
    """Installed packages by normalised name: of one that is there twice, what Python imports."""
    found: dict[str, Distribution] = {}
    for distribution in distributions(path=list(path)):
        if name := distribution.metadata["Name"]:
            found.setdefault(normalized(name), distribution)
    return found


@cache
def _points(distribution: Distribution) -> tuple[EntryPoint, ...]:
    return tuple(point for point in distribution.entry_points if point.group in _KINDS)
