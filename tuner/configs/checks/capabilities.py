"""What samplers and pruners cannot do, said at submission instead of being done badly.

Their files say it in capitals: see `SamplerTraits` and `PrunerTraits` in `tuner.configs.traits`.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec

from tuner.configs import catalog
from tuner.configs.paths import may_change
from tuner.configs.traits import PrunerTraits, SamplerTraits
from tuner.errors import InvalidInput, Problem
from tuner.spec.space import Choice
from tuner.spec.study import EPOCHS, StudySpec


def sampler_problems(spec: StudySpec) -> Iterator[Problem]:
    """What the study asks of its sampler and does not get from it."""
    name, samplers = spec.search.sampler.name, catalog.all_traits(SamplerTraits)
    sampler = samplers.get(name)
    if sampler is None:
        return
    ranges = [(path, dimension) for path, _, dimension in spec.space.dimensions()]
    conditional = [path for path, dimension in ranges if dimension.when]
    if conditional and not sampler.conditional:
        others = _others(other for other, found in samplers.items() if found.conditional)
        yield _problem(
            f"{name} does not support conditions, and {conditional[0]} has a `when`; {others}"
        )
    if len(spec.objectives) > 1 and sampler.objectives == "one":
        others = _others(other for other, one in samplers.items() if one.objectives == "several")
        yield _problem(
            f"{name} supports one objective, and the study has {len(spec.objectives)}; {others}"
        )
    if spec.constraints and not sampler.constraints:
        others = _others(other for other, found in samplers.items() if found.constraints)
        yield _problem(f"{name} does not support constraints; {others}")
    if sampler.numeric and all(isinstance(d, Choice) for _, d in ranges):
        yield _problem(f"{name} needs a range of numbers, and the space has none; use auto")
    if sampler.judges:
        yield from _population_problems(spec, name)
    if not sampler.learns_from_paused:
        yield from _pause_problems(spec, name)


def _pause_problems(spec: StudySpec, name: str) -> Iterator[Problem]:
    """What keeps a sampler that learns from ended trials from having any."""
    pruners = catalog.all_traits(PrunerTraits)
    pruner = spec.search.pruner.name
    if pruner in pruners and pruners[pruner].pauses:
        able = [other for other, found in pruners.items() if not found.pauses]
        yield _problem(
            f"{name} learns from trials that have ended, and under {pruner} most are paused until "
            f"the study ends; let the pruner be {_either(able)}"
        )


def _population_problems(spec: StudySpec, name: str) -> Iterator[Problem]:
    """What keeps a sampler that judges itself from doing so."""
    if spec.search.pruner.name != "auto":
        message = f"{name} decides itself which trials go on; leave the pruner at auto"
        yield Problem(("search", "pruner"), message)
    if not any(may_change(path) for path in spec.space.root):
        yield _problem(
            f"{name} changes optimizer.lr, optimizer.weight_decay and augment.… as trials train, "
            "and the space has none of them; add one, or use auto"
        )


def pruner_problems(spec: StudySpec) -> Iterator[Problem]:
    """What the study asks of its pruner and does not get from it."""
    pruners, name = catalog.all_traits(PrunerTraits), spec.search.pruner.name
    if name in pruners and len(spec.objectives) > 1 and pruners[name].objectives == "one":
        able = [other for other, found in pruners.items() if found.objectives == "several"]
        message = (
            f"{name} judges one objective and the study has {len(spec.objectives)}; "
            f"use {_either(able)}"
        )
        yield Problem(("search", "pruner"), message)
    yield from _fidelity_problems(spec, pruners)
    yield from _epochs_problems(spec, pruners)


def _fidelity_problems(spec: StudySpec, pruners: Mapping[str, PrunerTraits]) -> Iterator[Problem]:
    """Why rungs cannot be trainings of their own, on fewer images or smaller ones."""
    pruner, fidelity = spec.search.pruner.name, spec.search.fidelity
    if fidelity == "epochs":
        return
    sampler = catalog.all_traits(SamplerTraits).get(spec.search.sampler.name)
    able = [name for name, found in pruners.items() if found.staged]
    can_pause = sampler is None or (sampler.learns_from_paused and not sampler.judges)
    if pruner not in {"auto", *able} or not can_pause:
        who = f"pruner {pruner}" if pruner != "auto" else f"sampler {spec.search.sampler.name}"
        message = (
            f"{fidelity} needs rungs at which every trial is paused, which {who} does not have; "
            f"set pruner to {_either(able)} and sampler to auto, or fidelity to epochs"
        )
        yield Problem(("search", "fidelity"), message)


def _epochs_problems(spec: StudySpec, pruners: Mapping[str, PrunerTraits]) -> Iterator[Problem]:
    """Why trials cannot differ in their epochs: what compares them at equal ones."""
    if not spec.searches_epochs:
        return
    pruner = pruners.get(spec.search.pruner.name)
    if pruner is None or pruner.peers:
        able = [name for name, found in pruners.items() if not found.peers]
        message = (
            f"{EPOCHS} cannot be searched with pruner {spec.search.pruner.name}, which compares "
            f"trials at equal epochs; set search.pruner to {_either(able)}, or fix base.{EPOCHS}"
        )
        yield Problem(("space", EPOCHS), message)


def require_packages(spec: StudySpec) -> None:
    """Raise InvalidInput if this server lacks a package that the study's sampler needs."""
    sampler = catalog.all_traits(SamplerTraits).get(spec.search.sampler.name)
    needed = sampler.needs if sampler else ()
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        message = (
            f"{spec.search.sampler.name} needs {' and '.join(missing)}, which this server does "
            f"not have; install {' '.join(missing)} there, or use auto"
        )
        raise InvalidInput([Problem(("search", "sampler"), message)])


def _others(able: Iterable[str]) -> str:
    return f"use {_either(['auto', *able])}"


def _either(names: list[str]) -> str:
    """The names as alternatives, in words."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _problem(message: str) -> Problem:
    return Problem(("search", "sampler"), message)
