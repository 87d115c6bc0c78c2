"""The learning rate of every step: batch scaling, warm-up and schedule in one place."""

from collections.abc import Callable
from math import sqrt

from tuner import catalog
from tuner.spec.config import TrialConfig

REFERENCE_BATCH = 8
_SCALINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda ratio: ratio,
    "sqrt": sqrt,
    "none": lambda ratio: 1.0,
}


def peak(config: TrialConfig) -> float:
    """The learning rate per 8 images, scaled to the batch by the optimizer's own rule."""
    rule = catalog.find("optimizer", config.optimizer.name).constants["LR_SCALING"]
    return config.optimizer.lr * _SCALINGS[rule](config.training.batch_size / REFERENCE_BATCH)


def course(config: TrialConfig, total_steps: int) -> Callable[[int], float]:
    """Learning rate by optimizer step, counted from 0 over the full budget.

    During the first `warmup` share of the steps the schedule is multiplied by a linear ramp.
    """
    schedule = catalog.load("schedule", config.schedule.name)
    factor = schedule.build(total_steps, **config.schedule.options)
    warmup_steps = round(config.schedule.warmup * total_steps)
    top = peak(config)

    def rate(step: int) -> float:
        return float(top * factor(step) * min(1.0, (step + 1) / (warmup_steps + 1)))

    return rate
