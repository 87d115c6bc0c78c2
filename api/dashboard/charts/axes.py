"""Scales and ticks for charts: numbers in, numbers and short labels out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LARGEST = 1e300  # beyond it the length of an axis overflows


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from low to high with its ticks; positions are shares of its length."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def position(self, value: float) -> float:
        """Where the value lies, 0 at low and 1 at high; values outside stand at the edge."""
        share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def label(self, tick: float) -> str:
        """The tick as text, with as many decimals as the ticks' distance asks for."""
        distance = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(tick) or 1.0
        if distance >= 1:
            return f"{tick:,.0f}"
        decimals = math.ceil(-math.log10(distance) - 1e-9)
        return f"{tick:.{decimals}f}" if decimals <= 4 else f"{tick:.0e}".replace("e-0", "e-")


def linear(values: Iterable[float], *, count: int = 5, whole: bool = False) -> Axis:
    """An axis that holds every finite value, with about `count` round ticks inside it."""
    finite = [value for value in values if abs(value) <= _LARGEST]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        margin = abs(high) * 0.05
        margin = max(margin, 0.5) if whole or margin < 1e-10 else margin
        low, high = low - margin, high + margin
    step = _round_step((high - low) / count)
    if whole:
        step = max(1.0, step)
    ticks = _multiples(step, low, high)
    if len(ticks) < 2 and not whole:  # one number alone says nothing of the distance
        ticks = _multiples(_round_step((high - low) / (2 * count)), low, high)
    return Axis(low, high, ticks)


def robust(values: Iterable[float], *, better_high: bool) -> Axis:
    """An axis for results: the good half in full, the far tail of failures cut off.

    The tail ends one and a half times the distance from best to median below the median, so
    that a few collapsed trials do not press the interesting ones into a line.
    """
    finite = sorted(value for value in values if abs(value) <= _LARGEST)
    if not finite:
        return linear(())
    best = finite[-1] if better_high else finite[0]
    median = finite[(len(finite) - better_high) // 2]  # of an even number the worse one
    reach = max(abs(best - median) * 2.5, abs(best) * 0.1)
    worst = max(finite[0], best - reach) if better_high else min(finite[-1], best + reach)
    margin = abs(best - worst) * 0.06
    ends = (worst - margin, best + margin) if better_high else (best - margin, worst + margin)
    return linear(ends, count=4)


def trimmed(values: Iterable[float]) -> Axis:
    """An axis for curves: all but the outermost hundredth on each side, once there are many."""
    finite = sorted(value for value in values if abs(value) <= _LARGEST)
    cut = len(finite) // 100
    kept = finite[cut : len(finite) - cut]
    room = (kept[-1] - kept[0]) * 0.04 if kept else 0.0
    return linear((kept[0] - room, kept[-1] + room) if kept else ())


def _multiples(step: float, low: float, high: float) -> tuple[float, ...]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _round_step(wanted: float) -> float:
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in _STEPS if step * power >= wanted * (1 - 1e-9))
