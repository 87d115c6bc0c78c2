"""From runs to figures: regret at a budget, budget to reach a level, and what a request costs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.levels import Levels
from benchmarks.search.runfile import Run

BUDGETS = (10, 20, 40)
RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As in a table."""
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One method under one setting."""

    name: str
    runs: int
    seeds: int
    regret: Mapping[int, Figure]
    mean: float  # regret at the last budget, on average over all runs
    final: Figure  # regret of what the incumbent ends with, at the last budget
    completed: Figure | None  # regret of the best whole training; None in runs of earlier revisions
    reach_40: tuple[float, float]  # median budget, and share of runs that reached it in 40
    reach_160: tuple[float, float]
    draw_ms: float | None
    verdict_ms: float | None


class TaskChanged(ValueError):
    """Runs of a task by that name are of two tasks: their levels differ."""

    def __init__(self, group: str, task: str) -> None:
        super().__init__(
            f"runs of {task} in {group} have different levels: the task has changed between them, "
            "and they cannot be compared; leave out the older ones"
        )


def levels_of(runs: Iterable[Run]) -> dict[tuple[str, str], Levels]:
    """The levels of each task. Raises TaskChanged."""
    found: dict[tuple[str, str], Levels] = {}
    for run in runs:
        if not run.levels.agree_with(found.setdefault(task_of(run), run.levels)):
            raise TaskChanged(*task_of(run))
    return found


def unchanged(runs: Iterable[Run], now: Mapping[tuple[str, str], Levels]) -> list[Run]:
    """Runs of tasks that have the levels which they had then; what is not in `now` has."""
    return [run for run in runs if run.levels.agree_with(now.get(task_of(run), run.levels))]


def normalized(runs: Iterable[Run]) -> list[Run]:
    """The same runs, each task's best taken over its random sample and over all of them.

    Raises TaskChanged.
    """
    known = list(runs)
    starts, found = levels_of(known), []
    by_task: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in known:
        by_task[task_of(run)].append(run)
    for task, group in by_task.items():
        sign = -1.0 if group[0].direction == "maximize" else 1.0
        start = starts[task]
        seen = min([sign * start.best_seen, *(sign * row[1] for run in group for row in run.best)])
        last = [sign * row[2] for run in group for row in run.best]
        last += [sign * row[1] for run in group for row in run.completed]
        final = min([sign * start.best_final, *last])
        levels = replace(start, best_seen=sign * seen, best_final=sign * final)
        found += [replace(run, levels=levels) for run in group]
    return found


def task_of(run: Run) -> tuple[str, str]:
    """Group and name of the task: groups may name their tasks alike."""
    return run.order["group"], run.order["task"]


def label(run: Run) -> str:
    """The method, and what of its setting is out of the ordinary."""
    setting, parts = run.order["setting"], [run.order["method"]]
    if setting["workers"] != 8:
        parts.append(f"W={setting['workers']}")
    parts += [f"{name} {setting[name]:.0%}" for name in ("lag", "loss", "noise") if setting[name]]
    if setting["cost"] != "epochs":
        parts.append(f"cost in {setting['cost']}")
    return ", ".join(parts)


def rows(runs: Iterable[Run]) -> list[Row]:
    """One row per method and setting, in order of first appearance."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in normalized(runs):
        groups[label(run)].append(run)
    return [_row(name, group) for name, group in groups.items()]


def _row(name: str, runs: Sequence[Run]) -> Row:
    return Row(
        name=name,
        runs=len(runs),
        seeds=len({run.order["setting"]["seed"] for run in runs}),
        regret={at: figure(runs, partial(regret_at, budget=at)) for at in BUDGETS},
        mean=float(np.mean([regret_at(run, BUDGETS[-1]) for run in runs])),
        final=figure(runs, partial(final_regret_at, budget=BUDGETS[-1])),
        completed=(
            figure(runs, partial(completed_regret_at, budget=BUDGETS[-1]))
            if any(run.completed for run in runs)
            else None
        ),
        reach_40=_reach(runs, lambda run: run.levels.best_of_40),
        reach_160=_reach(runs, lambda run: run.levels.best_of_160),
        draw_ms=_middle(runs, "draw"),
        verdict_ms=_middle(runs, "verdict"),
    )


def regret_at(run: Run, budget: float) -> float:
    """Regret of the best value seen within the budget; 1 before anything was seen."""
    found = [row for row in run.best if row[0] <= budget]
    return run.levels.regret(found[-1][1]) if found else 1.0


def final_regret_at(run: Run, budget: float) -> float:
    """Regret of what the training with the best value so far ends with."""
    found = [row for row in run.best if row[0] <= budget]
    return run.levels.final_regret(found[-1][2]) if found else 1.0


def completed_regret_at(run: Run, budget: float) -> float:
    """Regret of the best last value of a whole training: what the study gives as its best."""
    found = [row for row in run.completed if row[0] <= budget]
    return run.levels.final_regret(found[-1][1]) if found else 1.0


def reached(run: Run, level: float) -> float:
    """Budget at which a value at least as good was first seen; infinite if it never was."""
    sign = -1.0 if run.direction == "maximize" else 1.0
    return next((row[0] for row in run.best if sign * row[1] <= sign * level), inf)


def _reach(runs: Sequence[Run], level: Callable[[Run], float]) -> tuple[float, float]:
    spent = [reached(run, level(run)) for run in runs]
    return median(spent), sum(one <= 40 for one in spent) / len(spent)


def figure(
    runs: Sequence[Run], measure: Callable[[Run], float], *, resamples: int = RESAMPLES
) -> Figure:
    """Interquartile mean over all runs; tasks are drawn again, and within each its seeds."""
    by_task: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        by_task[task_of(run)].append(measure(run))
    values = [np.array(found) for found in by_task.values()]
    rng = np.random.default_rng(0)
    again = []
    for _ in range(resamples):
        drawn = [values[task] for task in rng.integers(len(values), size=len(values))]
        again.append(
            interquartile_mean(np.concatenate([rng.choice(found, len(found)) for found in drawn]))
        )
    low, high = np.quantile(again, [0.025, 0.975])
    return Figure(interquartile_mean(np.concatenate(values)), float(low), float(high))


def interquartile_mean(values: NDArray[np.float64]) -> float:
    """Mean of the middle half."""
    ranked = np.sort(values)
    cut = len(ranked) // 4
    return float(ranked[cut : len(ranked) - cut].mean())


def _middle(runs: Sequence[Run], call: str) -> float | None:
    found = [run.milliseconds[call] for run in runs if call in run.milliseconds]
    return median(found) if found else None


def markdown(table: Sequence[Row]) -> str:
    """The rows as a table."""
    budgets = list(table[0].regret) if table else []
    head = [
        "method",
        "runs (seeds)",
        *(f"regret @{budget}" for budget in budgets),
        f"mean @{budgets[-1]}" if budgets else "mean",
        "final regret",
        "best completed",
        "reach best-of-40",
        "reach best-of-160",
        "draw, verdict ms",
    ]
    lines = [table_line(head), table_line(["---"] * len(head))]
    for row in table:
        figures = [f"{row.regret[budget].value:.3f}" for budget in budgets[:-1]]
        cells = [row.name, f"{row.runs} ({row.seeds})", *figures, str(row.regret[budgets[-1]])]
        cells += [
            f"{row.mean:.3f}",
            f"{row.final.value:.3f}",
            "" if row.completed is None else f"{row.completed.value:.3f}",
            _budget(row.reach_40),
            _budget(row.reach_160),
        ]
        lines.append(table_line([*cells, _costs(row)]))
    return "\n".join(lines)


def table_line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def _budget(reach: tuple[float, float]) -> str:
    middle, share = reach
    return f"{'–' if middle == inf else f'{middle:.1f}'} ({share:.0%})"


def _costs(row: Row) -> str:
    if row.draw_ms is None or row.verdict_ms is None:
        return ""
    return f"{row.draw_ms:.1f}, {row.verdict_ms:.1f}"
