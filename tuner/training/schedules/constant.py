"""The full learning rate throughout, after warm-up."""

from collections.abc import Callable


def build(total_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at each step: always 1."""
    return lambda step: 1.0
