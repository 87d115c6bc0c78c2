"""Our search space in Syne Tune's words; the same in every version of it."""

from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform

from benchmarks.search.flat import dimensions, labels
from tuner.spec.space import AnyDimension, Choice, Float, SearchSpace


def domains(space: SearchSpace) -> dict[str, object]:
    """Each alternative's domain by a name that is a word; what is not active is drawn too."""
    return {key: _domain(known) for key, known in dimensions(space).items()}


def _domain(dimension: AnyDimension) -> object:
    if isinstance(dimension, Choice):
        return choice(labels(dimension))
    low, high = dimension.bounds
    if isinstance(dimension, Float):
        return loguniform(low, high) if dimension.log else uniform(low, high)
    return lograndint(int(low), int(high)) if dimension.log else randint(int(low), int(high))
