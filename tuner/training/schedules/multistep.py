"""Steps down by the same factor at given shares of the budget."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from tuner.spec import shares


def build(
    total_steps: int,
    *,
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1,
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.6, 0.85),
) -> Callable[[int], float]:
    """Factor of the learning rate at each step: gamma^n after n milestones."""
    places = [shares.at_least(milestone, total_steps) for milestone in milestones]
    return lambda step: float(gamma ** sum(step >= place for place in places))
