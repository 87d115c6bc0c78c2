"""Maintenance and the hours of owners, over HTTP and by the commands."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from api.settings import Settings
from tests.api.samples import Live, serving, study
from tuner.cli.app import app


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """A server of its own, over real HTTP."""
    with serving(settings) as live:
        yield live


def run(live: Live, *words: str) -> str:
    """What a command says that must go well."""
    done = CliRunner().invoke(app, [*words, "--server", str(live.client.base_url)])
    assert done.exit_code == 0, done.output
    return done.output


def test_maintenance_by_command(live: Live) -> None:
    """On with a reason, shown, off again; the queue and a worker that asks see it."""
    live.client.post("/api/v1/studies", json=study("street")).raise_for_status()
    assert run(live, "maintenance", "show") == "trials are given out\n"
    said = run(live, "maintenance", "on", "--reason", "new disks")
    assert said.startswith("maintenance since ")
    assert said.endswith("no trial is given out: new disks\n")
    assert live.client.post("/api/v1/leases", json={"worker": "w1"}).status_code == 204
    (entry,) = live.client.get("/api/v1/queue").json()["entries"]
    assert (entry["why"], entry["reason"]) == (
        "maintenance",
        "the server is in maintenance: new disks",
    )
    assert run(live, "maintenance", "off") == "trials are given out\n"
    assert live.client.post("/api/v1/leases", json={"worker": "w1"}).status_code == 200
    assert live.client.put("/api/v1/maintenance").json()["is_on"]


def test_hours_of_owners_by_command(live: Live) -> None:
    """Listed, limited, freed; nonsense is refused."""
    assert "nobody owns a study" in run(live, "owners", "list")
    limited = "ada: 0 of 100 h of devices (studies: 0)\n"
    assert run(live, "owners", "limit", "ada", "--hours", "100") == limited
    assert run(live, "owners", "list") == limited
    assert run(live, "owners", "limit", "ada") == "ada: 0 h of devices (studies: 0)\n"
    for body in ({}, {"hours": -1}, {"hours": "many"}):
        assert live.client.put("/api/v1/owners/ada", json=body).status_code == 422
    deeds = live.client.get("/api/v1/audit").json()["items"]
    assert {deed["action"] for deed in deeds} == {"owner.limit"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["owners", "limit", "ada", "--hours", "inf"], "hours: input should be a finite number"),
        (["owners", "limit", "ada", "--hours", "1e10"], "less than or equal to 1000000000"),
        (["owners", "limit", ""], "owner: must not be empty"),
        (["maintenance", "on", "--reason", "x" * 501], "reason: string should have at most 500"),
    ],
)
def test_what_no_server_takes_is_said_by_the_command(words: list[str], said: str) -> None:
    """Before anything is sent, and in the words for any other input."""
    done = CliRunner().invoke(app, [*words, "--server", "http://127.0.0.1:1"])
    assert (done.exit_code, said in done.output) == (2, True), done.output
