"""Cosine decay that begins again several times (SGDR, Loshchilov and Hutter 2017).

The last cycle ends with the budget, so that the trial is scored at the bottom of one.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from math import ceil, cos, pi
from typing import Annotated

from pydantic import Field

from tuner.spec import shares


def build(
    total_steps: int,
    *,
    cycles: Annotated[int, Field(ge=1, le=100)] = 3,
    growth: Annotated[float, Field(ge=1, le=10)] = 1.0,
    damping: Annotated[float, Field(gt=0, le=1)] = 1.0,
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Callable[[int], float]:
    """Factor of the learning rate: each cycle is `growth` times as long and `damping` as high."""
    ratio = shares.exact(growth)
    # 1 + r·(1 + r·(…)) = 1 + r + r² + …, the lengths of the cycles so far
    ends = list(accumulate(range(cycles), lambda end, _: 1 + ratio * end, initial=Fraction(0)))
    places = [float(end / ends[-1] * total_steps) for end in ends]
    starts = [ceil(end / ends[-1] * total_steps) for end in ends[1:-1]]

    def factor(step: int) -> float:
        cycle = sum(step >= start for start in starts)
        begin, end = places[cycle : cycle + 2]
        inside = min((step - begin) / (end - begin), 1.0)
        height = max(damping**cycle, floor)
        return floor + (height - floor) * 0.5 * (1 + cos(pi * inside))

    return factor
