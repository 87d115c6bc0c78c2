"""Methods against one of them, pair by pair: the same task, seed and setting."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, nan, sqrt
from statistics import mean, median, stdev, variance

from benchmarks.search.report import (
    BUDGETS,
    final_regret_at,
    label,
    normalized,
    reached,
    regret_at,
    table_line,
    task_of,
)
from benchmarks.search.runfile import Run

MARGIN = 0.02  # of regret: by less, a task is neither won nor lost
FEW = 6  # tasks; over fewer of them a standard error has too few degrees of freedom

Pair = tuple[Run, Run]  # of the method, and of the one that it is compared with


@dataclass(frozen=True, slots=True)
class Difference:
    """Of regret; less than 0 is ahead. The standard error is over tasks, seeds averaged first.

    Of few tasks it is that of their seeds, for just these tasks, if each has several; and not a
    number with one of each.
    """

    mean: float
    error: float

    def __str__(self) -> str:
        """As in a table, bold where the method is behind by more than a standard error."""
        text = f"{self.mean:+.3f} ± {self.error:.3f}"
        return f"**{text}**" if self.mean > self.error else text


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method, under one setting, with another under the same."""

    name: str
    pairs: int
    is_within: bool  # whether errors are those of seeds within tasks, and not over tasks
    regret: Mapping[int, Difference]
    final: Difference
    by_task: Mapping[str, float]  # difference at the last budget
    reach_40: float  # its median budget as a share of the other's
    reach_160: float

    def ahead(self) -> int:
        """Tasks on which it is ahead by more than the margin at the last budget."""
        return sum(found < -MARGIN for found in self.by_task.values())

    def losses(self) -> dict[str, float]:
        """Tasks on which it is behind by more, the worst first."""
        behind = [(found, task) for task, found in self.by_task.items() if found > MARGIN]
        return {task: found for found, task in sorted(behind, reverse=True)}


def compare(runs: Iterable[Run], against: str) -> list[Comparison]:
    """Every other method with this one, of runs of one group of tasks."""
    known = normalized(runs)
    base = {_place(run): run for run in known if run.order["method"] == against}
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for run in known:
        if run.order["method"] != against and _place(run) in base:
            pairs[label(run)].append((run, base[_place(run)]))
    return [_compared(name, found) for name, found in pairs.items()]


def _compared(name: str, pairs: Sequence[Pair]) -> Comparison:
    last = _by_task(pairs, partial(regret_at, budget=BUDGETS[-1]))
    return Comparison(
        name=name,
        pairs=len(pairs),
        is_within=_is_within(last),
        regret={at: _difference(pairs, partial(regret_at, budget=at)) for at in BUDGETS},
        final=_difference(pairs, partial(final_regret_at, budget=BUDGETS[-1])),
        by_task={task: mean(found) for task, found in last.items()},
        reach_40=_reach(pairs, lambda run: run.levels.best_of_40),
        reach_160=_reach(pairs, lambda run: run.levels.best_of_160),
    )


def _place(run: Run) -> tuple[tuple[str, str], str]:
    """What a pair has in common; random search goes on longer than the others."""
    setting = {key: value for key, value in run.order["setting"].items() if key != "budget"}
    return task_of(run), json.dumps(setting, sort_keys=True)


def _by_task(pairs: Sequence[Pair], measure: Callable[[Run], float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one, other in pairs:
        found[one.order["task"]].append(measure(one) - measure(other))
    return found


def _difference(pairs: Sequence[Pair], measure: Callable[[Run], float]) -> Difference:
    by_task = _by_task(pairs, measure)
    found = [mean(seeds) for seeds in by_task.values()]
    if _is_within(by_task):
        error = sqrt(sum(variance(seeds) / len(seeds) for seeds in by_task.values())) / len(found)
    else:
        error = stdev(found) / sqrt(len(found)) if len(found) > 1 else nan
    return Difference(mean(found), error)


def _is_within(by_task: Mapping[str, Sequence[float]]) -> bool:
    return len(by_task) < FEW and all(len(seeds) > 1 for seeds in by_task.values())


def _reach(pairs: Sequence[Pair], level: Callable[[Run], float]) -> float:
    """Infinite where half of the method's runs never arrive, not a number where the others'."""
    own = median(reached(run, level(run)) for run, _ in pairs)
    other = median(reached(run, level(run)) for _, run in pairs)
    return nan if not isfinite(other) else own / other


def markdown(found: Sequence[Comparison], against: str) -> str:
    """A table; below it which errors it has, and the tasks that each method loses."""
    head = [f"minus {against}", "pairs", *(f"@{at}" for at in BUDGETS), f"final @{BUDGETS[-1]}"]
    head += ["tasks ahead, behind", "reach best-of-40", "best-of-160"]
    lines = [table_line(head), table_line(["---"] * len(head))]
    for one in found:
        cells = [one.name, str(one.pairs), *(str(one.regret[at]) for at in BUDGETS)]
        cells += [str(one.final), f"{one.ahead()}, {len(one.losses())} of {len(one.by_task)}"]
        lines.append(table_line([*cells, _times(one.reach_40), _times(one.reach_160)]))
    lines.append("")
    for one in found:
        lost = ", ".join(f"{task} ({by:+.2f})" for task, by in one.losses().items())
        errors = "over seeds within tasks" if one.is_within else "over tasks"
        lines.append(
            f"- {one.name} is behind at {BUDGETS[-1]} on: {lost or 'none'}; errors are {errors}"
        )
    return "\n".join(lines)


def _times(ratio: float) -> str:
    if isfinite(ratio):
        return f"{ratio:.2f} ×"
    return "never" if ratio == inf else "–"
