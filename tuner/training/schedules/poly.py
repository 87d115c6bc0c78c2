"""Polynomial decay, (1 - step/total)^power: the schedule of DeepLab and its successors."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field


def build(
    total_steps: int,
    *,
    power: Annotated[float, Field(gt=0, le=10)] = 0.9,
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Callable[[int], float]:
    """Factor of the learning rate at each step from 0 to total_steps - 1; it ends at `floor`."""

    def factor(step: int) -> float:
        left = 1 - min(step, total_steps) / total_steps
        return float(floor + (1 - floor) * left**power)

    return factor
