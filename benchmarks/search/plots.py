"""The figure of a comparison: regret against budget, a line with its interval per method."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.search.report import figure, label, normalized, regret_at
from benchmarks.search.runfile import Run

POINTS = 20
RESAMPLES = 100  # enough for the shade of an interval


def save(runs: Sequence[Run], path: Path, *, budget: float = 40.0) -> None:
    """Write the figure as the file's ending says."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    groups: dict[str, list[Run]] = defaultdict(list)
    for run in normalized(runs):
        groups[label(run)].append(run)
    budgets = np.linspace(budget / POINTS, budget, POINTS)
    drawing, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, group in groups.items():
        figures = [
            figure(group, partial(regret_at, budget=spent), resamples=RESAMPLES)
            for spent in budgets
        ]
        axes.plot(budgets, [one.value for one in figures], label=name)
        low, high = [one.low for one in figures], [one.high for one in figures]
        axes.fill_between(budgets, low, high, alpha=0.12)
    axes.set(xlabel="budget in whole trainings", ylabel="normalised regret", yscale="log")
    axes.legend(fontsize="small", frameon=False)
    drawing.savefig(path, dpi=120)
