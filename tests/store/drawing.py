"""A server process and a study whose sampler is slow, with an eye on its draws."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.search.observation import Observation
from tuner.search.suggest import Draw, Suggester
from tuner.service.searches import Searches
from tuner.store.engine import Database

SPACE: dict[str, Any] = {
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "augment.rotate": {"int": [0, 30]},
}


class Server(Fleet):
    """A server process whose background jobs wait for the test to do them."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.jobs: list[Callable[[], None]] = []
        self.searches = Searches(self.jobs.append)

    def rest(self) -> None:
        """Do what waits in the background."""
        while self.jobs:
            self.jobs.pop(0)()


def before_draws(monkeypatch: pytest.MonkeyPatch, do: Callable[[int, bool], object]) -> None:
    """Do something before each draw, with its number and whether it is a quick one."""
    draw = Suggester.draw

    def drawn(
        self: Suggester, seen: Iterable[Observation], number: int, *, quick: bool = False
    ) -> Draw:
        do(number, quick)
        return draw(self, seen, number, quick=quick)

    monkeypatch.setattr(Suggester, "draw", drawn)


def submit(server: Fleet, name: str = "streets", startup: int = 100, **changes: Any) -> None:
    """A study of many trials by the Gaussian process, which begins with random draws."""
    gp = {"name": "gp", "startup": startup}
    search = {"sampler": gp, "pruner": "none", "trials": 40, "parallel": 8, "seed": 3}
    server.submit(spec(name, space=SPACE, search={**search, **changes}))
