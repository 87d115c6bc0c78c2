"""Half a cosine from the full learning rate to `floor` of it (Loshchilov and Hutter 2017)."""

from collections.abc import Callable
from math import cos, pi
from typing import Annotated

from pydantic import Field


def build(
    total_steps: int, *, floor: Annotated[float, Field(ge=0, le=1)] = 0.0
) -> Callable[[int], float]:
    """Factor of the learning rate at each step from 0 to total_steps - 1."""

    def factor(step: int) -> float:
        return floor + (1 - floor) * 0.5 * (1 + cos(pi * min(step, total_steps) / total_steps))

    return factor
