"""Child processes: restarted with a back-off, left alone when a restart mends nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.household import start_server
from tuner.cli.supervisor import Command, Supervisor, _Child, _tend, back_off
from tuner.errors import ServerError


@given(failures=st.integers(1, 10_000))
def test_the_pause_grows_to_half_a_minute(failures: int) -> None:
    """Each failure in a row waits at least as long as the one before, 30 s at most."""
    assert 1.0 <= back_off(failures) <= back_off(failures + 1) <= 30.0


def test_a_command_that_ends_well_is_not_started_again(tmp_path: Path) -> None:
    """Its exit code is kept and its output is in its log."""
    log = tmp_path / "log"
    with Supervisor() as house:
        house.start(Command("version", ("version",), log=log))
        house.wait("version")
        assert (house.ended("version"), "segtune" in log.read_text()) == (0, True)


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    """A wrong setting is told at once, with the log's place; nothing is started again."""
    command = Command("server", ("serve", "--port", "99999"), log=tmp_path / "log")
    with Supervisor() as house, pytest.raises(ServerError, match="exit code 2"):
        start_server(house, command, "http://127.0.0.1:9")


def test_a_command_that_died_is_started_again_after_a_pause(tmp_path: Path) -> None:
    """The first failure waits a second, and the next process is a new one."""
    dead = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    dead.wait()
    child = _Child(Command("version", ("version",), log=tmp_path / "log"), dead, started=100.0)
    _tend(child, 101.0)
    _tend(child, 101.9)
    assert (child.process is dead, child.due) == (True, 102.0)
    _tend(child, 102.0)
    assert (child.process is dead, child.process.wait()) == (False, 0)


def test_leaving_ends_what_runs(tmp_path: Path) -> None:
    """A worker that waits for its server ends when it is asked."""
    arguments = ("worker", "--server", "http://127.0.0.1:9", "--device", "cpu")
    home = {"SEGTUNE_HOME": str(tmp_path)}
    house = Supervisor()
    house.start(Command("worker", arguments, stage=1, environment=home, log=tmp_path / "log"))
    house.stop()
    assert all(child.process.returncode is not None for child in house._children)
