"""Steps down by the same factor at equal distances over the budget."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field


def build(
    total_steps: int,
    *,
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1,
    drops: Annotated[int, Field(ge=1, le=1000)] = 2,
) -> Callable[[int], float]:
    """Factor of the learning rate at each step: gamma^n after n of `drops` + 1 equal parts."""
    return lambda step: float(gamma ** min(step * (drops + 1) // total_steps, drops))
