"""What a fleet does of a plan where the server knows less than it did."""

from pathlib import Path
from unittest.mock import Mock

from tuner.errors import NotFound
from workers.fleet.decision import FleetPlan, FleetRecord
from workers.fleet.loop import Fleet, read
from workers.fleet.settings import FleetSettings


def test_a_worker_that_the_server_has_forgotten_keeps_no_other_from_ending(tmp_path: Path) -> None:
    """It is removed between the look and the deed; the rest of the plan is done, and noted."""
    driver, client = Mock(), Mock()
    client.drain.side_effect = NotFound("no worker f-1")
    fleet = Fleet(driver, client, FleetSettings(), "f", tmp_path / "f.json")
    kept = FleetRecord(seconds=7.0)

    fleet.act(FleetPlan(0, "no work", kept, drain=("f-1",), end=("f-2",), stop=("f-3",)))

    driver.drain.assert_called_once_with("f-2")
    driver.stop.assert_called_once_with("f-3")
    assert read(fleet.file) == kept
