"""Everything that can be wrong with a study, said at submission and all at once.

`tuner.spec` checks what a document says of itself; here it meets the component catalog: names,
options, metrics, and every corner of the search space under every condition.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from tuner.configs import catalog
from tuner.configs.checks.batches import batch_problems
from tuner.configs.checks.capabilities import pruner_problems, sampler_problems
from tuner.configs.checks.corners import space_problems
from tuner.configs.checks.deployment import deployment_problems
from tuner.configs.checks.formats import class_problems, completed, hints
from tuner.configs.checks.names import name_problems
from tuner.configs.checks.priors import prior_problems
from tuner.configs.resolve import resolve
from tuner.configs.traits import SamplerTraits
from tuner.errors import InvalidSpec, Location, Problem
from tuner.spec import grid
from tuner.spec.documents import MAX_NODES, has_at_most
from tuner.spec.hints import nearest
from tuner.spec.metrics import LOSSES, MEASURED, MINIMIZED, unknown_metric
from tuner.spec.study import Constraint, Strategy, StudySpec
from tuner.spec.validation import problems as problems_of_shape
from tuner.wording import better

_PER_LOCATION = 5
_KINDS: Mapping[type, str] = {type(None): "an empty document", list: "a list"}


def parse(document: object, *, is_new: bool = True) -> StudySpec:
    """Read a submitted document; one that is stored may have names that a new one may not.

    Raises:
        InvalidSpec: with a problem for each mistake, those of shape and those of meaning.
    """
    if not isinstance(document, Mapping):
        kind = _KINDS.get(type(document), "a single value")
        message = f"a study is a mapping with the keys name, dataset, …, not {kind}"
        raise InvalidSpec([Problem((), message)])
    if is_new and not has_at_most(MAX_NODES, document):
        message = f"it holds more than {MAX_NODES} values: not a study; write out less"
        raise InvalidSpec([Problem((), message)])
    document = completed(document)
    try:
        spec = StudySpec.model_validate(document)
    except ValidationError as error:
        found = problems_of_shape(error.errors(), StudySpec)
        raise InvalidSpec(_tidy([*found, *_of_the_rest(document, error)])) from None
    check(spec, is_new=is_new)
    return spec


def check(spec: StudySpec, *, is_new: bool = True) -> None:
    """Raise InvalidSpec with every problem of the study, if it has any."""
    if found := [*(name_problems(spec) if is_new else ()), *problems(spec)]:
        raise InvalidSpec(found)


def problems(spec: StudySpec) -> list[Problem]:
    """Every problem of a well-formed study; none if it can be searched."""
    base = [*_base_problems(spec), *class_problems(spec.dataset)]
    space = list(space_problems(spec, base))
    metrics = [*_metric_problems(spec), *deployment_problems(spec)]
    prior = [] if base or space else [*batch_problems(spec), *prior_problems(spec)]
    return _tidy([*base, *metrics, *space, *_search(spec), *prior])


def _of_the_rest(document: Mapping[Any, Any], error: ValidationError) -> list[Problem]:
    """Problems of what is well-formed, so that one slip does not hide another."""
    rest: Mapping[Any, Any] = document
    for item in error.errors():
        rest = _without(rest, item["loc"][:2] if item["loc"][:1] == ("space",) else item["loc"])
    # Where one stands that is wrong, that is what to correct, not that there is none.
    stated: dict[str, Any] = {"deployment": {}} if "deployment" in document else {}
    try:
        others = problems(StudySpec.model_validate({**stated, **rest, "name": "unnamed"}))
    except ValidationError:
        others = []
    return [*hints(document), *others]


def _without(tree: Mapping[Any, Any], place: Location) -> Mapping[Any, Any]:
    """The document without the key at the place, or without the list that holds it."""
    if not place or place[0] not in tree:
        return tree
    key, child = place[0], tree[place[0]]
    if len(place) > 1 and isinstance(child, Mapping) and place[1] in child:
        return {**tree, key: _without(child, place[1:])}
    return {other: value for other, value in tree.items() if other != key}


def _tidy(found: Iterable[Problem]) -> list[Problem]:
    """Each problem once, and no more than a handful for one place, in the order found."""
    kept: dict[Location, list[Problem]] = {}
    for problem in found:
        same_place = kept.setdefault(problem.location, [])
        if problem not in same_place and len(same_place) < _PER_LOCATION:
            same_place.append(problem)
    return [problem for place in kept.values() for problem in place]


def _base_problems(spec: StudySpec) -> list[Problem]:
    try:
        resolve(spec.base, spec.dataset, {})
    except InvalidSpec as error:
        return [
            Problem(p.location if p.location[0] == "dataset" else ("base", *p.location), p.message)
            for p in error.problems
        ]
    return []


def _metric_problems(spec: StudySpec) -> Iterator[Problem]:
    for index, objective in enumerate(spec.objectives):
        right = "minimize" if objective.metric in MINIMIZED else "maximize"
        if wrong := unknown_metric(objective.metric, spec.dataset.classes):
            yield Problem(("objectives", index, "metric"), wrong)
        elif objective.direction != right:
            message = f"{objective.metric} is better the {better(right)} it is; write {right}"
            yield Problem(("objectives", index, "direction"), message)
        if objective.counts_best and (wrong := _chooses_no_epoch(spec, index)):
            yield Problem(("objectives", index, "at"), wrong)
    for index, bound in enumerate(spec.constraints):
        if wrong := unknown_metric(bound.metric, spec.dataset.classes):
            yield Problem(("constraints", index, "metric"), wrong)
        elif bound.metric not in {*LOSSES, *MEASURED} and not _can_hold(bound):
            message = f"{bound.metric} is between 0 and 1 (30 % is 0.30); no trial can keep this"
            yield Problem(("constraints", index), message)


def _chooses_no_epoch(spec: StudySpec, index: int) -> str | None:
    """Why an objective cannot choose the epoch that counts, or None."""
    metric, first = spec.objectives[index].metric, spec.objective.metric
    sampler = catalog.all_traits(SamplerTraits).get(spec.search.sampler.name)
    if sampler and sampler.judges:
        return (
            f"{spec.search.sampler.name} copies trials as they are, so that a copy would count by "
            "an epoch that was trained with other params; leave this out, or use another sampler"
        )
    if metric in MEASURED:
        return (
            f"{metric} is the same at every epoch, so that none is the best by it; leave this out, "
            "and let the first objective be the one that chooses the epoch"
        )
    if index:
        return (
            f"one model has all values, those of the epoch at which the first objective counts, "
            f"here {first}; leave this out, or put {metric} first"
        )
    return None


def _can_hold(bound: Constraint) -> bool:
    """Whether a share between 0 and 1 can keep the bound."""
    return (bound.min is None or bound.min <= 1) and (bound.max is None or bound.max >= 0)


def _search(spec: StudySpec) -> Iterator[Problem]:
    yield from _strategy(spec.search.sampler, "sampler")
    yield from sampler_problems(spec)
    yield from _strategy(spec.search.pruner, "pruner")
    sampler = catalog.all_traits(SamplerTraits).get(spec.search.sampler.name)
    if sampler and sampler.exhaustive:
        yield from _grid(spec)
    yield from pruner_problems(spec)


def _strategy(strategy: Strategy, kind: str) -> Iterator[Problem]:
    place = ("search", kind)
    if strategy.name == "auto":
        for option in strategy.options:
            message = f"auto takes no options; name the {kind}: {', '.join(catalog.names(kind))}"
            yield Problem((*place, option), message)
        return
    if strategy.name not in catalog.names(kind):
        valid = ("auto", *catalog.names(kind))
        yield Problem((*place, "name"), catalog.unknown(kind, strategy.name, valid))
        return
    known = catalog.find(kind, strategy.name).options
    for name, value in strategy.options.items():
        if name not in known:
            hint = nearest(name, tuple(known)) if known else "it has none"
            yield Problem((*place, name), f"{strategy.name} has no option '{name}'; {hint}")
        elif wrong := known[name].check(value)[1]:
            yield Problem((*place, name), f"{wrong}, not {value!r}")


def _grid(spec: StudySpec) -> Iterator[Problem]:
    uncountable = grid.endless(spec.space)
    for path, index in uncountable:
        message = "a grid needs a step, or a choice, where numbers are real"
        yield Problem(("space", path, index), message)
    trials = spec.search.trials
    if not uncountable and (grid.size(spec.space, trials + 1) or 0) > trials:
        message = (
            f"the grid has more than {trials} points; raise trials, take larger steps, "
            "or let another sampler choose"
        )
        yield Problem(("search", "trials"), message)
