"""The search space: ranges over dotted `TrialConfig` paths, with conditions.

A path has one dimension, or several alternatives of which at most one is active at a time:

    optimizer.lr: [{float: [1.0e-3, 1.0e-1], log: true, when: {optimizer.name: sgd}},
                   {float: [1.0e-5, 3.0e-3], log: true, when: {optimizer.name: adamw}}]

The space checks itself: what it says of its own paths. Whether a path or a name exists at all is
checked by `tuner.configs.checks`, which also knows the component catalog.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tuner.spec.shares import exact

Scalar = bool | int | float | str
Value = Scalar | None | list[Scalar]
Params = dict[str, Any]
_Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Allowed = Annotated[tuple[Scalar | None, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class Dimension(BaseModel):
    """What all kinds of ranges share: the condition under which they are drawn."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )
    when: dict[str, Allowed] = Field(
        default_factory=dict, description="Path to the value, or values, that activate this range"
    )

    def is_active(self, params: Mapping[str, Any]) -> bool:
        """Whether every condition holds for the params drawn so far."""
        return all(
            path in params and any(same(params[path], value) for value in allowed)
            for path, allowed in self.when.items()
        )

    def corners(self) -> tuple[Any, ...]:
        """Values that must all make a valid config."""
        raise NotImplementedError

    def contains(self, value: object) -> bool:
        """Whether `value` could have been drawn."""
        raise NotImplementedError


class Float(Dimension):
    """Real numbers from low to high, uniform or log-uniform, or on a grid of `step`."""

    bounds: tuple[float, float] = Field(alias="float")
    log: bool = False
    step: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Float":
        _check_bounds(*self.bounds, log=self.log, step=self.step)
        return self

    def corners(self) -> tuple[Any, ...]:
        """Low and high."""
        return self.bounds

    def contains(self, value: object) -> bool:
        """Whether the number lies within the bounds and on the grid."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        low, high = self.bounds
        if self.step is None or not low <= value <= high:
            return low <= value <= high
        return abs((value - low) / self.step - round((value - low) / self.step)) < 1e-8


class Int(Dimension):
    """Whole numbers from low to high, both included."""

    bounds: tuple[_Int64, _Int64] = Field(alias="int")
    log: bool = False
    step: Annotated[int, Field(ge=1, le=2**63 - 1)] = 1

    @model_validator(mode="after")
    def _check(self) -> "Int":
        _check_bounds(*self.bounds, log=self.log, step=None if self.step == 1 else self.step)
        return self

    def corners(self) -> tuple[Any, ...]:
        """Low and high."""
        return self.bounds

    def contains(self, value: object) -> bool:
        """Whether the whole number (5.0 is one) lies within the bounds and on the grid."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        low, high = self.bounds
        return low <= value <= high and (value - low) % self.step == 0


class Choice(Dimension):
    """One of the values listed."""

    choice: tuple[Value, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "Choice":
        known = set[tuple[bool, object]]()
        for value in self.choice:
            key = (isinstance(value, bool), tuple(value) if isinstance(value, list) else value)
            if key in known:
                raise ValueError(f"choice names {value!r} twice")
            known.add(key)
        return self

    def corners(self) -> tuple[Any, ...]:
        """Every value."""
        return self.choice

    def contains(self, value: object) -> bool:
        """Whether the value is listed."""
        return any(same(value, option) for option in self.choice)


def same(left: object, right: object) -> bool:
    """Equality that keeps true apart from 1."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _check_bounds(low: float, high: float, *, log: bool, step: float | None) -> None:
    if low >= high:
        raise ValueError(f"low {low:g} must be below high {high:g}; write [low, high]")
    if log and low <= 0:
        raise ValueError(f"a log range starts above 0, not at {low:g}")
    if log and step is not None:
        raise ValueError("log and step exclude each other; drop one")
    if step is not None and exact(step) > exact(high) - exact(low):
        raise ValueError(f"step {step:g} is wider than the range {low:g} to {high:g}")


def _kind(value: object) -> str | None:
    if isinstance(value, Dimension):
        return "choice" if isinstance(value, Choice) else type(value).__name__.lower()
    keys = value.keys() if isinstance(value, dict) else ()
    found = [kind for kind in ("float", "int", "choice") if kind in keys]
    return found[0] if len(found) == 1 else None


AnyDimension = Annotated[
    Annotated[Float, Tag("float")] | Annotated[Int, Tag("int")] | Annotated[Choice, Tag("choice")],
    Discriminator(
        _kind,
        custom_error_type="dimension",
        custom_error_message="a range is one of {float: [low, high]}, {int: [low, high]} "
        "and {choice: [...]}",
    ),
]
Alternatives = Annotated[tuple[AnyDimension, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class SearchSpace(RootModel[dict[str, Alternatives]]):
    """Dotted paths to their dimension, or to the alternatives of which one is active."""

    model_config = ConfigDict(frozen=True)
    root: dict[str, Alternatives] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "SearchSpace":
        for path, alternatives in self.root.items():
            for dimension in alternatives:
                for asked, allowed in dimension.when.items():
                    self._check_condition(path, asked, allowed)
            _check_disjoint(path, alternatives)
        for path in self.root:
            for other in self.root:
                if other.startswith(path + "."):
                    message = f"{path} and {other} overlap; draw the whole or its parts"
                    raise _wrong(other, message)
        try:
            _ = self.ordered
        except CycleError as error:
            raise ValueError(
                f"conditions go round in a circle: {' → '.join(error.args[1])}"
            ) from None
        return self

    def _check_condition(self, path: str, asked: str, allowed: tuple[Any, ...]) -> None:
        if asked not in self.root:
            raise _wrong(
                path,
                f"{path} depends on {asked}, which is not searched; "
                f"searched are: {', '.join(sorted(self.root))}",
            )
        for value in allowed:
            if not any(dimension.contains(value) for dimension in self.root[asked]):
                message = f"{path} is active only when {asked} = {value!r}, which is never drawn"
                raise _wrong(path, message)

    @cached_property  # it is asked for several times with each draw
    def ordered(self) -> tuple[str, ...]:
        """Paths in an order in which every condition stands before what depends on it."""
        graph = {
            path: sorted({asked for dimension in alternatives for asked in dimension.when})
            for path, alternatives in self.root.items()
        }
        return tuple(TopologicalSorter(graph).static_order())

    def active(self, path: str, params: Mapping[str, Any]) -> tuple[int, AnyDimension] | None:
        """Position and dimension of the alternative that is active, or None."""
        for index, dimension in enumerate(self.root[path]):
            if dimension.is_active(params):
                return index, dimension
        return None

    def dimensions(self) -> Iterator[tuple[str, int, AnyDimension]]:
        """Every dimension with its path and its position among the path's alternatives."""
        for path in self.ordered:
            for index, dimension in enumerate(self.root[path]):
                yield path, index, dimension

    @property
    def is_conditional(self) -> bool:
        """Whether any dimension is not always drawn."""
        return any(dimension.when for _, _, dimension in self.dimensions())


def _wrong(path: str, message: str) -> PydanticCustomError:
    """An error that knows which path of the space it is about."""
    return PydanticCustomError("space", "{message}", {"message": message, "path": path})


def _check_disjoint(path: str, alternatives: tuple[AnyDimension, ...]) -> None:
    for index, one in enumerate(alternatives):
        for other in alternatives[index + 1 :]:
            if not any(
                asked in other.when
                and not any(same(a, b) for a in allowed for b in other.when[asked])
                for asked, allowed in one.when.items()
            ):
                raise _wrong(
                    path,
                    f"two alternatives of {path} can be active at once; give each a `when` that "
                    "excludes the other",
                )
