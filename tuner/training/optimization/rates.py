"""The learning rate of every step: batch scaling, warm-up and schedule in one place."""

from collections.abc import Callable
from math import sqrt

from tuner.configs import catalog
from tuner.configs.traits import OptimizerTraits
from tuner.spec import shares
from tuner.spec.config import ScheduleConfig, TrialConfig

REFERENCE_BATCH = 8
_SCALINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda ratio: ratio,
    "sqrt": sqrt,
    "none": lambda ratio: 1.0,
}


def peak(config: TrialConfig) -> float:
    """The learning rate per 8 images, scaled to the batch by the optimizer's own rule."""
    rule = catalog.traits(OptimizerTraits, config.optimizer.name).lr_scaling
    return config.optimizer.lr * _SCALINGS[rule](config.training.batch_size / REFERENCE_BATCH)


def by_step(config: TrialConfig, total_steps: int) -> Callable[[int], float]:
    """Learning rate by optimizer step, counted from 0 over the full budget.

    During the first `warmup` share of the steps the schedule is multiplied by a ramp.
    """
    schedule = catalog.load("schedule", config.schedule.name)
    factor = schedule.build(total_steps, **config.schedule.options)
    ramp = _ramp(config.schedule, total_steps)
    top = peak(config)
    return lambda step: float(top * factor(step) * ramp(step))


def _ramp(schedule: ScheduleConfig, total_steps: int) -> Callable[[int], float]:
    """Factor of warm-up by step: rising to 1 after `warmup` of the steps, or a lower plateau."""
    count = shares.nearest(schedule.warmup, total_steps) + 1
    start, low = schedule.warmup_start, schedule.warmup_start or 1 / count

    def ramp(step: int) -> float:
        way = (step + 1) / count
        if way >= 1:
            return 1.0
        if schedule.warmup_kind == "linear":
            return start + (1 - start) * way
        return float(low ** (1 - way)) if schedule.warmup_kind == "exponential" else low

    return ramp
