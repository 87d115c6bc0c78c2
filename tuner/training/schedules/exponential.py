"""Exponential decay: the same factor at every step, `final` of the full rate at the end."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field


def build(
    total_steps: int, *, final: Annotated[float, Field(gt=0, le=1)] = 0.01
) -> Callable[[int], float]:
    """Factor of the learning rate at each step: final^(step / total)."""
    return lambda step: float(final ** (min(step, total_steps) / total_steps))
