"""What a driver of an engine is: a file beside this one that defines `build`; its stem names it.

A driver starts and ends workers, and knows nothing of trials: a worker pulls its own over HTTP, and
the lease recovers those of a worker that is gone. So no driver lets its engine start one again.
"""

import ast
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from tuner.errors import InvalidInput, Problem
from tuner.spec.hints import nearest
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class FleetMember:
    """A worker that the engine holds for this fleet."""

    name: str
    is_pending: bool = False  # the engine has no place for it yet: it costs nothing


class FleetDriver(Protocol):
    """An engine that workers run on; all methods raise EngineError where it does not answer."""

    def list(self) -> Sequence[FleetMember]:
        """This fleet's workers that run or wait for a place; those that have ended are not."""
        ...

    def start(self, name: str) -> None:
        """Start a worker of that name, once."""
        ...

    def drain(self, name: str) -> None:
        """Ask a worker to end: it saves a checkpoint of a trial that it has, and hands it back."""
        ...

    def stop(self, name: str) -> None:
        """Kill a worker that did not end when it was asked to."""
        ...


class _DriverModule(Protocol):
    def build(self, fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver: ...


@cache
def names() -> tuple[str, ...]:
    """The drivers that there are; imports none of them."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if _builds(path)))


def load(fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver:
    """The driver that the settings name.

    Raises:
        InvalidInput: no file is called so, or a setting does not fit it.
        PackageMissing: the engine's package is not installed.
        EngineError: the engine does not answer.
    """
    if fleet.driver not in names():
        message = f"there is no driver '{fleet.driver}'; {nearest(fleet.driver, names())}"
        raise InvalidInput([Problem(("driver",), message)])
    module = importlib.import_module(f"workers.fleet.{fleet.driver}")
    return cast("_DriverModule", module).build(fleet, worker)


def _builds(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(each, ast.FunctionDef) and each.name == "build" for each in tree.body)
