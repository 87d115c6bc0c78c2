"""Every path, name and range corner of a search space, under every condition."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from tuner.configs import catalog
from tuner.configs.paths import component_kind, section_of, unsearchable
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec, Location, Problem, UnknownComponent
from tuner.spec.grid import walk
from tuner.spec.space import AnyDimension, Choice, Float, Params, SearchSpace
from tuner.spec.study import StudySpec

DECIDING = frozenset({"model.output_stride"})  # what else is valid depends on it, as on a name
COMBINATIONS = 2_000  # of component names and conditions, per section of the config


def space_problems(spec: StudySpec, base: Sequence[Problem]) -> Iterator[Problem]:
    """Problems of the space that are not already problems of the base recipe."""
    wrong = {path: message for path in spec.space.root if (message := unsearchable(path))}
    for path, message in wrong.items():
        yield Problem(("space", path), message)
    unknown = list(_unknown_names(spec.space))
    yield from unknown
    if wrong or unknown:
        return  # combinations of what does not exist only repeat the same
    known = {problem.location for problem in base}
    for problem in _first_of_each_range(_corner_problems(spec), spec.space):
        if problem.location not in known:
            yield problem


def _unknown_names(space: SearchSpace) -> Iterator[Problem]:
    for path, index, dimension in space.dimensions():
        kind = component_kind(path)
        if kind is None:
            continue
        if not isinstance(dimension, Choice):
            yield Problem(("space", path, index), f"{path} names a {kind}; write {{choice: [...]}}")
            continue
        for position, name in enumerate(dimension.choice):
            try:
                catalog.find(kind, str(name))
            except UnknownComponent as error:
                place = ("space", path, index, "choice", position)
                yield Problem(place, error.problems[0].message)


def _corner_problems(spec: StudySpec) -> Iterator[Problem]:
    """Try the corners of every dimension of every section, under every combination of names.

    What is valid within a section depends on the components that the section names and on
    nothing outside of it, so that sections are walked one by one.
    """
    for section in sorted({section_of(path) for path in spec.space.root}):
        tried: set[str] = set()
        for combination in islice(_combinations(spec.space, section), COMBINATIONS):
            for params, moved in _trials(spec.space, section, combination):
                own = {path: value for path, value in params.items() if section_of(path) == section}
                if (key := repr((moved, sorted(own.items())))) not in tried:
                    tried.add(key)
                    yield from _located(spec, section, params, moved)


def _combinations(space: SearchSpace, section: str) -> Iterator[Params]:
    """Params of all that decides what is valid and what is active in a section."""
    asked = {parent for _, _, dimension in space.dimensions() for parent in dimension.when}
    needed = _needed(space, [path for path in space.root if section_of(path) == section])
    decides = {
        path for path in needed if path in asked | DECIDING or component_kind(path) is not None
    }
    return walk(space, [path for path in needed if path in decides], partial(_branches, space))


def combinations(space: SearchSpace, paths: Iterable[str]) -> Iterator[Params]:
    """Params of the paths that are drawn, at their corners, and of all that makes them active."""
    drawn = _needed(space, [path for path in paths if path in space.root])
    return walk(space, drawn, partial(_branches, space))


def _needed(space: SearchSpace, paths: Iterable[str]) -> list[str]:
    """The paths and all that their conditions ask for, in the order of drawing."""
    order, needed = space.ordered, set(paths)
    for path in reversed(order):
        if path in needed:
            needed |= {parent for dimension in space.root[path] for parent in dimension.when}
    return [path for path in order if path in needed]


def _branches(space: SearchSpace, path: str, dimension: AnyDimension) -> list[Any]:
    """Values of a path that can make a difference to others: all, or those that are asked for."""
    if isinstance(dimension, Choice):
        return list(dimension.choice)
    asked = [v for _, _, other in space.dimensions() for v in other.when.get(path, ())]
    return [*dict.fromkeys(v for v in asked if dimension.contains(v)), *_probes(dimension)]


def _probes(dimension: AnyDimension) -> list[Any]:
    """Corners, and one value between them that catches a real number where whole ones belong."""
    corners = list(dimension.corners())
    if isinstance(dimension, Choice):
        return corners
    low, high = dimension.bounds
    between = low + (high - low) * 0.381966 if dimension.step is None else low + dimension.step
    return [*corners, between]


def _trials(
    space: SearchSpace, section: str, combination: Params
) -> Iterator[tuple[Params, str | None]]:
    """The combination with every other range at its first corner, then one by one elsewhere."""
    params = dict(combination)
    free: list[tuple[str, AnyDimension]] = []
    for path in space.ordered:
        active = space.active(path, params)
        if path not in params and active and section_of(path) == section:
            params[path] = _probes(active[1])[0]
            free.append((path, active[1]))
    yield params, None
    for path, dimension in free:
        for value in _probes(dimension)[1:]:
            yield {**params, path: value}, path


def _located(spec: StudySpec, section: str, params: Params, moved: str | None) -> Iterator[Problem]:
    """Problems of one try, placed where the document says what is tried."""
    try:
        resolve(spec.base, spec.dataset, params)
    except InvalidSpec as error:
        for problem in error.problems:
            path = ".".join(str(part) for part in problem.location[:2])
            if section_of(path) != section or (moved and path != moved):
                continue
            if path in params:
                active = spec.space.active(path, params)
                assert active is not None
                place: Location = ("space", path, active[0])
                yield Problem(place, _with_hint(problem.message, path, active[1]))
            else:
                yield Problem(("base", *problem.location), problem.message)


def _with_hint(message: str, path: str, dimension: AnyDimension) -> str:
    if isinstance(dimension, Float) and "integer" in message:
        return f"{path} takes whole numbers; write {{int: [low, high]}}"
    return message


def _first_of_each_range(found: Iterable[Problem], space: SearchSpace) -> Iterator[Problem]:
    """One problem per numeric range is enough; of a choice, every wrong value is named."""
    named: set[Location] = set()
    for problem in found:
        place = problem.location
        is_range = place[0] == "space" and not isinstance(_dimension(space, place), Choice)
        if not (is_range and place in named):
            yield problem
        named.add(place)


def _dimension(space: SearchSpace, place: Location) -> AnyDimension:
    path, index = place[1:3]
    return space.root[str(path)][int(index)]
