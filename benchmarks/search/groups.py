"""Groups of tasks by name: which may be tuned on, and which only show what the tuning is worth."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from benchmarks.search import lcbench, rbv2, recorded, taskset
from benchmarks.search.rough import rough
from benchmarks.search.task import Task

TABLES = Path(__file__).parents[1] / "data"


def _dev(curves: Path) -> dict[str, Task]:
    known = lcbench.tasks(curves / "lcbench")
    return {name: known[name] for name in lcbench.DEV}


def _heldout(curves: Path) -> dict[str, Task]:
    known = lcbench.tasks(curves / "lcbench")
    return {name: task for name, task in known.items() if name not in lcbench.DEV}


def _recorded(name: str) -> dict[str, Task]:
    return {name: recorded.tasks(TABLES)[name]}


# Name of a group → its tasks by their names, from the folder of learning curves.
GROUPS: Mapping[str, Callable[[Path], dict[str, Task]]] = {
    "dev": _dev,
    "dev-rough": lambda curves: {name: rough(task) for name, task in _dev(curves).items()},
    "heldout": _heldout,
    "rbv2-dev": lambda curves: rbv2.tasks(curves / "rbv2_xgboost", rbv2.DEV),
    "rbv2": lambda curves: rbv2.tasks(curves / "rbv2_xgboost", rbv2.REPORT),
    "taskset": lambda curves: taskset.tasks(curves / "taskset"),
    "taskset-fitted": lambda curves: taskset.fitted(curves / "taskset"),
    "camvid": lambda _: _recorded("camvid"),
    "camvid-large": lambda _: _recorded("camvid_large"),
    "crackforest": lambda _: _recorded("crackforest"),
    "segmentation": lambda _: recorded.tasks(TABLES),
    "segmentation-quiet": lambda _: {
        name: replace(task, noise=None) for name, task in recorded.tasks(TABLES).items()
    },
}


@cache  # a table that a task has read serves the next simulation too
def _tasks(group: str, curves: Path) -> Mapping[str, Task]:
    return GROUPS[group](curves)


def names(group: str, curves: Path) -> list[str]:
    """Names of the tasks of a group."""
    return list(_tasks(group, curves))


def find(group: str, name: str, curves: Path) -> Task:
    """A task by its name."""
    return _tasks(group, curves)[name]
