"""One cycle: from a low rate up to the full one and down to almost nothing (Smith and Topin 2019).

It warms up by itself: set `schedule.warmup` to 0. Momentum stays as it is.
"""

from collections.abc import Callable
from math import cos, pi
from typing import Annotated

from pydantic import Field


def build(
    total_steps: int,
    *,
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3,
    start: Annotated[float, Field(gt=0, le=1)] = 0.04,
    final: Annotated[float, Field(ge=0, le=1)] = 0.0001,
) -> Callable[[int], float]:
    """Factor of the learning rate: half a cosine up in the share `rise`, half a cosine down."""

    def factor(step: int) -> float:
        way = min(step, total_steps) / total_steps
        if way < rise:
            return _between(start, 1.0, way / rise)
        return _between(1.0, final, (way - rise) / (1 - rise))

    return factor


def _between(first: float, last: float, way: float) -> float:
    return last + (first - last) * 0.5 * (1 + cos(pi * way))
