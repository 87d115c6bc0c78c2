"""Training needed to find good params: the service against other tuners, in simulated time.

Learning curves are read from the folder that --curves or SEGTUNE_CURVES names; runs are kept in
the file that --results names, and only what is missing there is run.

    python -m benchmarks.search --quick
    python -m benchmarks.search --tasks heldout --seeds 1-3 --methods random optuna auto+auto
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from math import inf, isfinite
from pathlib import Path
from typing import Any

from benchmarks.machine import conclude, describe
from benchmarks.search import compare, report, runs
from benchmarks.search.groups import GROUPS, find
from benchmarks.search.groups import names as names_of
from benchmarks.search.levels import levels
from benchmarks.search.methods import is_installed
from benchmarks.search.runfile import Order, Run, load
from benchmarks.search.simulator import Setup
from tuner.wording import quantity

QUICK_TASKS = 3
RANDOM_BUDGET = 160.0  # random search needs more than the others to reach what it is compared by


def main() -> None:
    """Run what is missing and print tables and ratios."""
    options = _options()
    names = names_of(options.tasks, options.curves)[: options.first]
    if options.quick:
        names, options.methods = names[:QUICK_TASKS], ["random", "auto+auto"]
        options.seeds, options.jobs = (0, 1), 2
    missing = [name for name in options.methods if not is_installed(name)]
    methods = [name for name in options.methods if name not in missing]
    orders = [
        Order(options.tasks, task, method, _setup(options, method, seed))
        for seed in options.seeds
        for method in methods
        for task in names
    ]
    done = list(_run_all(orders, options))
    table = report.rows(done)
    print(report.markdown(table))
    if options.against is not None:
        print(f"\n{compare.markdown(compare.compare(done, options.against), options.against)}")
    for name in missing:
        print(f"{name}: not installed")
    if options.plot is not None:
        from benchmarks.search.plots import save

        save(done, options.plot)
    conclude({**describe("optuna"), **_ratios(table), "not_installed": missing})


def _run_all(orders: Sequence[Order], options: argparse.Namespace) -> list[Run]:
    done = []
    known = _known(orders, options)
    for run in runs.run_all(orders, options.curves, options.results, known, jobs=options.jobs):
        done.append(run)
        if options.verbose:
            order = run.order
            regret = report.regret_at(run, options.budget)
            print(
                f"{len(done)}/{len(orders)} {order['task']} {order['method']} "
                f"seed {order['setting']['seed']}: regret {regret:.3f}, {run.trials} trials, "
                f"{run.cpu_seconds:.1f} s",
                flush=True,
            )
    return done


def _known(orders: Sequence[Order], options: argparse.Namespace) -> list[Run]:
    """What files have of these orders; a task may have changed under its name since."""
    wanted = {order.key() for order in orders}
    found = [run for path in [*options.known, options.results] for run in load(path)]
    found = [run for run in found if run.key() in wanted]
    tasks = {report.task_of(run) for run in found}
    now = {task: levels(find(*task, options.curves)) for task in tasks}
    still = report.unchanged(found, now)
    if passed := len(found) - len(still):
        print(f"{quantity(passed, 'known run')} passed over: the tasks have changed since")
    return still


def _setup(options: argparse.Namespace, method: str, seed: int) -> Setup:
    budget = options.budget if method != "random" else max(options.budget, RANDOM_BUDGET)
    return Setup(
        workers=options.workers,
        budget=budget,
        lag=options.lag,
        loss=options.loss,
        cost=options.cost,
        noise=options.noise,
        seed=seed,
    )


def _ratios(table: Sequence[report.Row]) -> dict[str, Any]:
    """Each method's budget to reach best-of-40-random as a share of random search's."""
    base = next((row.reach_40[0] for row in table if row.name == "random"), inf)
    found: dict[str, Any] = {}
    for row in table:
        found[f"{row.name}_regret"] = round(list(row.regret.values())[-1].value, 3)
        if isfinite(base) and row.name != "random":
            reach = row.reach_40[0]
            found[f"{row.name}_reach_ratio"] = round(reach / base, 2) if isfinite(reach) else None
    return found


def seeds_in(text: str) -> tuple[int, ...]:
    """The seeds that a number of them, or a list of numbers and ranges, stands for."""
    if text.isdecimal():
        return tuple(range(int(text)))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(sorted(set(found)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="three tasks, two seeds, ours and random search")
    add("--tasks", choices=GROUPS, default="dev")
    add("--first", type=int, help="of the group's tasks only so many")
    add("--seeds", type=seeds_in, default="3", help="how many from 0 on, or which: 1-3, 0,4-6")
    add("--workers", type=int, default=8)
    add("--lag", type=float, default=0.0, help="of each lease, in shares of a whole training")
    add("--loss", type=float, default=0.0, help="share of leases that lose their worker")
    add("--noise", type=float, default=0.0, help="of reports, in shares of the finals' spread")
    add("--cost", choices=("epochs", "seconds"), default="epochs", help="what an epoch costs")
    add("--budget", type=float, default=40.0, help="in whole trainings")
    add("--methods", nargs="+", default=["random", "optuna", "optuna-tpe", "auto+auto"])
    add("--jobs", type=int, default=1, help="processes")
    add("--curves", type=Path, default=os.environ.get("SEGTUNE_CURVES"))
    add("--results", type=Path, help="file of runs; by default a new one each time")
    add("--against", help="the method that the others are compared with, pair by pair")
    add("--known", nargs="+", default=[], type=Path, help="files of runs not to be run again")
    add("--plot", type=Path, help="draw regret against budget")
    add("--verbose", action="store_true", help="print a line per run")
    options = parser.parse_args()
    if options.curves is None:
        parser.error("say where the learning curves are: --curves FOLDER or SEGTUNE_CURVES")
    options.curves = Path(options.curves)
    if options.results is None:
        options.results = Path(tempfile.mkdtemp()) / "runs.jsonl"
    return options


if __name__ == "__main__":
    main()
