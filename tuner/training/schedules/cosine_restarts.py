"""Cosine decay that begins again several times (SGDR, Loshchilov and Hutter 2017).

The last cycle ends with the budget, so that the trial is scored at the bottom of one.
"""

from collections.abc import Callable
from itertools import accumulate
from math import cos, pi
from typing import Annotated

from pydantic import Field

RISES = True


def build(
    total_steps: int,
    *,
    cycles: Annotated[int, Field(ge=1, le=100)] = 3,
    growth: Annotated[float, Field(ge=1, le=10)] = 1.0,
    damping: Annotated[float, Field(gt=0, le=1)] = 1.0,
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Callable[[int], float]:
    """Factor of the learning rate: each cycle is `growth` times as long and `damping` as high."""
    weights = [growth**cycle for cycle in range(cycles)]
    ends = [end / sum(weights) for end in accumulate(weights)]

    def factor(step: int) -> float:
        way = min(step, total_steps) / total_steps
        cycle = min(sum(way >= end for end in ends), cycles - 1)
        begin = ends[cycle - 1] if cycle else 0.0
        inside = min((way - begin) / (ends[cycle] - begin), 1.0)
        height = max(damping**cycle, floor)
        return floor + (height - floor) * 0.5 * (1 + cos(pi * inside))

    return factor
