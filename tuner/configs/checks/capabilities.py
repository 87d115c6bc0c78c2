"""What a sampler cannot do, said at submission instead of being done badly.

A sampler file says it in constants: `CONDITIONAL = False` (no `when`), `OBJECTIVES = "one"`,
`CONSTRAINTS = False`, `NUMERIC = True` (of no use without a range of numbers), `PAUSES = False`
(learns from trials that have ended only), `JUDGES = True` (decides itself which trials go on) and
`NEEDS`, the packages that the server must have.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from tuner.configs import catalog
from tuner.configs.catalog import Component
from tuner.errors import InvalidSpec, Problem
from tuner.spec.config import may_change
from tuner.spec.space import Choice
from tuner.spec.study import EPOCHS, StudySpec

_PAUSING = frozenset({"promote", "hyperband"})


def sampler_problems(spec: StudySpec) -> Iterator[Problem]:
    """What the study asks of its sampler and does not get from it."""
    sampler = catalog.components("sampler").get(spec.search.sampler.name)
    if sampler is None:
        return
    name = sampler.name
    ranges = [(path, dimension) for path, _, dimension in spec.space.dimensions()]
    conditional = [path for path, dimension in ranges if dimension.when]
    if conditional and not _draws_conditions(sampler):
        yield _problem(
            f"{name} knows no conditions, and {conditional[0]} has a `when`; "
            f"{_others(_draws_conditions)}"
        )
    if len(spec.objectives) > 1 and not _takes_several(sampler):
        yield _problem(
            f"{name} looks at one objective, and the study has {len(spec.objectives)}; "
            f"{_others(_takes_several)}"
        )
    if spec.constraints and not _heeds_constraints(sampler):
        yield _problem(f"{name} does not heed constraints; {_others(_heeds_constraints)}")
    if sampler.constants.get("NUMERIC") and all(isinstance(d, Choice) for _, d in ranges):
        yield _problem(f"{name} needs a range of numbers, and the space has none; use auto")
    pruner = spec.search.pruner.name
    if sampler.constants.get("JUDGES"):
        yield from _population_problems(spec, name)
    if pruner in _PAUSING and not sampler.constants.get("PAUSES", True):
        yield _problem(
            f"{name} learns from trials that have ended, and under {pruner} most are paused until "
            "the study ends; let the pruner be none or asha"
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


def fidelity_problems(spec: StudySpec) -> Iterator[Problem]:
    """Why rungs cannot be trainings of their own, on fewer images or smaller ones."""
    pruner, fidelity = spec.search.pruner.name, spec.search.fidelity
    if fidelity == "epochs":
        return
    sampler = catalog.components("sampler").get(spec.search.sampler.name)
    constants = sampler.constants if sampler else {}
    who = f"pruner {pruner}" if pruner != "auto" else f"sampler {spec.search.sampler.name}"
    can_pause = constants.get("PAUSES", True) and not constants.get("JUDGES")
    if pruner not in {"auto", "promote"} or not can_pause:
        message = (
            f"{fidelity} needs rungs at which every trial is paused, which {who} does not have; "
            "set pruner to promote and sampler to auto, or fidelity to epochs"
        )
        yield Problem(("search", "fidelity"), message)


def epochs_problems(spec: StudySpec) -> Iterator[Problem]:
    """Why trials cannot differ in their epochs: what compares them at equal ones."""
    if not spec.searches_epochs:
        return
    pruner = catalog.components("pruner").get(spec.search.pruner.name)
    if pruner is None or pruner.constants.get("PEERS", True):
        able = [
            name
            for name, found in catalog.components("pruner").items()
            if not found.constants.get("PEERS", True)
        ]
        message = (
            f"{EPOCHS} cannot be searched with pruner {spec.search.pruner.name}, which compares "
            f"trials at equal epochs; set search.pruner to {', '.join(able[:-1])} or {able[-1]}, "
            f"or fix base.{EPOCHS}"
        )
        yield Problem(("space", EPOCHS), message)


def require_packages(spec: StudySpec) -> None:
    """Raise InvalidSpec if this server lacks a package that the study's sampler needs."""
    sampler = catalog.components("sampler").get(spec.search.sampler.name)
    needed = sampler.constants.get("NEEDS", ()) if sampler else ()
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        message = (
            f"{spec.search.sampler.name} needs {' and '.join(missing)}, which this server does "
            f"not have; install {' '.join(missing)} there, or use auto"
        )
        raise InvalidSpec([Problem(("search", "sampler"), message)])


def _draws_conditions(sampler: Component) -> bool:
    return bool(sampler.constants.get("CONDITIONAL", True))


def _takes_several(sampler: Component) -> bool:
    return sampler.constants.get("OBJECTIVES") != "one"


def _heeds_constraints(sampler: Component) -> bool:
    return bool(sampler.constants.get("CONSTRAINTS", True))


def _others(can: Callable[[Component], bool]) -> str:
    able = [name for name, sampler in catalog.components("sampler").items() if can(sampler)]
    return f"use auto, {', '.join(able[:-1])} or {able[-1]}"


def _problem(message: str) -> Problem:
    return Problem(("search", "sampler"), message)
