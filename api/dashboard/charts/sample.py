"""Which of many points a chart draws, and its numbers as short as a screen can tell them apart."""

import math
from collections.abc import Collection, Sequence


def representative(values: Sequence[float | None], limit: int) -> list[int]:
    """Indexes of at most about `limit` of the values, rising: half an even sample, half extremes.

    The sample says where most lie; the lowest and the highest of each stretch, how far they reach.
    """
    if len(values) <= limit:
        return list(range(len(values)))
    stride = math.ceil(2 * len(values) / max(limit, 2))
    kept = set(range(stride - 1, len(values), stride))
    stretches = limit // 4
    for each in range(stretches):
        ends = each * len(values) // stretches, (each + 1) * len(values) // stretches
        known = [(value, index) for index in range(*ends) if (value := values[index]) is not None]
        if known:
            kept |= {min(known)[1], max(known)[1]}
    return sorted(kept)


def short(value: float | None) -> float | None:
    """The value to six digits; None for what is not a finite number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")


def columns(rows: Collection[Sequence[object]], count: int) -> list[tuple[object, ...]]:
    """Rows of `count` cells as columns, also where there is no row."""
    return list(zip(*rows, strict=True)) if rows else [()] * count
