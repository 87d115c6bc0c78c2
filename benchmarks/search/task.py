"""A task: a search space whose learning curves are known, so that nothing has to be trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.spec.space import AnyDimension, Choice, Int, Params
from tuner.spec.study import StudySpec

Point = Sequence[float] | NDArray[np.float64]


class Curve(NamedTuple):
    """What one training reports: the objective and the seconds of each epoch, from epoch 1 on."""

    values: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """`curves` gives the curve of each of several trainings; the same params, the same curve.

    `noise` gives what a training reports beside that, an epoch each, where the task knows it.
    `kin` is another task over the same space, for searches that start from its results.
    """

    name: str
    metric: str
    direction: Literal["maximize", "minimize"]
    epochs: int
    base: Mapping[str, Mapping[str, Any]]
    space: Mapping[str, Any]
    curves: Callable[[Sequence[Params]], Sequence[Curve]] = field(repr=False)
    noise: Callable[[Params], NDArray[np.float64] | float] | None = field(default=None, repr=False)
    kin: "Task | None" = field(default=None, repr=False)

    def study(self, search: Mapping[str, Any], *, start: Params | None = None) -> StudySpec:
        """The study to submit; `start` is its base recipe, which is trial 0."""
        base = {section: dict(keys) for section, keys in self.base.items()}
        for path, value in (start or {}).items():
            section, _, key = path.partition(".")
            base.setdefault(section, {})[key] = value
        base.setdefault("training", {})["epochs"] = self.epochs
        return StudySpec.model_validate(
            {
                "name": self.name,
                "dataset": {"format": "synthetic", "classes": ["one", "other"], "size": [32, 32]},
                "objectives": [{"metric": self.metric, "direction": self.direction}],
                "base": base,
                "space": self.space,
                "search": dict(search),
            }
        )

    def key(self, value: float) -> float:
        """The value as a number of which less is better."""
        return -value if self.direction == "maximize" else value


def params_at(spec: StudySpec, point: Point) -> Params:
    """The params at a point of the unit cube, one coordinate per path in order of the space."""
    params: Params = {}
    for path, share in zip(spec.space.ordered, point, strict=True):
        active = spec.space.active(path, params)
        if active is not None:
            params[path] = _value_at(active[1], share)
    return params


def point_of(spec: StudySpec, params: Params) -> list[float | None]:
    """The unit coordinate of each path in order of the space; None where it does not apply.

    Positions of a choice are their index: what they are to each other is for the caller to say.
    """
    found: list[float | None] = []
    for path in spec.space.ordered:
        active = spec.space.active(path, params)
        applies = active is not None and path in params
        found.append(share_of(active[1], params[path]) if active and applies else None)
    return found


def params_in(spec: StudySpec, config: Mapping[str, Mapping[str, Any]]) -> Params:
    """The searched params that a full config was made of."""
    params: Params = {}
    for path in spec.space.ordered:
        if spec.space.active(path, params) is not None:
            params[path] = _value_in(config, path)
    return params


def _value_in(config: Mapping[str, Any], path: str) -> Any:
    """What stands at a path; a term of a sum of losses by its position."""
    found: Any = config
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def _value_at(dimension: AnyDimension, share: float) -> Any:
    if isinstance(dimension, Choice):
        return dimension.choice[min(int(share * len(dimension.choice)), len(dimension.choice) - 1)]
    low, high = dimension.bounds
    whole = isinstance(dimension, Int)
    if whole:  # every whole number has the same width, the first and the last one too
        low, high = low - 0.5, high + 0.5
    value = low * (high / low) ** share if dimension.log else low + share * (high - low)
    if dimension.step is not None and (not whole or dimension.step != 1):
        start = dimension.bounds[0]
        value = start + round((value - start) / dimension.step) * dimension.step
    value = min(max(value, dimension.bounds[0]), dimension.bounds[1])
    return round(value) if whole else float(value)


def share_of(dimension: AnyDimension, value: Any) -> float:
    """The unit coordinate of a value; of a choice its index."""
    if isinstance(dimension, Choice):
        return float(dimension.choice.index(value))
    low, high = dimension.bounds
    if dimension.log:
        return log(value / low) / log(high / low)
    return float((value - low) / (high - low))
