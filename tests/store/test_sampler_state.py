"""What samplers keep from draw to draw lives in the database, not in the server."""

from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service.searches import Searches
from tuner.store import studies, trials
from tuner.store.engine import Database

SPACE: dict[str, Any] = {
    "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "augment.rotate": {"int": [0, 30]},
}
SAMPLERS = [
    {"name": "cmaes", "population": 5},
    {"name": "nsga2", "population": 4},
    {"name": "nsga3", "population": 4},
    {"name": "qmc"},
]


def trained(fleet: Fleet, name: str, sampler: dict[str, Any], *, restart_at: int | None) -> Any:
    """Params and attributes of fourteen trials, with a new server in the middle if asked."""
    search = {"sampler": sampler, "pruner": "none", "trials": 14, "seed": 3}
    fleet.submit(spec(name, space=SPACE, search=search, epochs=1))
    for number in range(14):
        if number == restart_at:
            fleet.searches = Searches()
        held = fleet.take(study=name)
        fleet.report(held, 1, value=1 - abs(held.config.optimizer.lr - 0.02) * 10)
        fleet.finish(held)
    with fleet.db.reading() as session:
        study = studies.find(session, name)
        found = [trials.find(session, study, number) for number in range(14)]
        return [(trial.params, sorted(trial.attrs)) for trial in found]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: str(sampler["name"]))
def test_a_new_server_goes_on_where_the_old_one_was(
    clocked_database: Database, sampler: dict[str, Any]
) -> None:
    """It draws what the old one would have drawn, generation by generation."""
    fleet = Fleet(clocked_database)
    through = trained(fleet, "through", sampler, restart_at=None)
    broken = trained(fleet, "broken", sampler, restart_at=9)
    assert through == broken
    assert sampler["name"] == "qmc" or any(
        key.endswith("generation") for _, attrs in through for key in attrs
    )
