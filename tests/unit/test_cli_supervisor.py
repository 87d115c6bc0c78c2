"""Child processes: restarted with a back-off, left alone when a restart mends nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli import processes, supervisor
from tuner.cli.processes import start_server
from tuner.cli.supervisor import Child, Command, Supervisor, back_off, check
from tuner.errors import ServerError


@given(failures=st.integers(1, 10_000))
def test_the_pause_grows_to_half_a_minute(failures: int) -> None:
    """Each failure in a row waits at least as long as the one before, 30 s at most."""
    assert 1.0 <= back_off(failures) <= back_off(failures + 1) <= 30.0


def test_a_command_that_ends_well_is_not_started_again(tmp_path: Path) -> None:
    """Its exit code is kept and its output is in its log."""
    log = tmp_path / "log"
    with Supervisor().running() as running:
        running.start(Command("version", ("version",), log=log))
        running.wait("version")
        assert (running.ended("version"), "segtune" in log.read_text()) == (0, True)


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    """A wrong setting is told at once, with the log's place; nothing is started again."""
    command = Command("server", ("serve", "--port", "99999"), log=tmp_path / "log")
    with Supervisor().running() as running, pytest.raises(ServerError, match="exit code 2"):
        start_server(running, command, "http://127.0.0.1:9")


def test_a_command_that_died_is_started_again_after_a_pause(tmp_path: Path) -> None:
    """The first failure waits a second, and the next process is a new one."""
    dead = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    dead.wait()
    child = Child(Command("version", ("version",), log=tmp_path / "log"), dead, started=100.0)
    check(child, 101.0)
    check(child, 101.9)
    assert (child.process is dead, child.due) == (True, 102.0)
    check(child, 102.0)
    assert (child.process is dead, child.process.wait()) == (False, 0)


def ended(code: int) -> "subprocess.Popen[bytes]":
    """A process that has ended like that."""
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    process.wait()
    return process


@pytest.mark.parametrize(
    ("code", "is_proven", "is_final"),
    [
        (0, False, False),  # somebody ended it, and it is still needed
        (1, False, False),
        (3, False, False),
        (-9, False, False),
        (2, False, True),  # a wrong setting, a refused token, another release
        (2, True, False),  # a server that has served before: its port is taken for a moment
        (0, True, False),
    ],
)
def test_a_service_is_started_again_whatever_ends_it(
    tmp_path: Path, code: int, is_proven: bool, is_final: bool
) -> None:
    """Only what another start cannot change is final."""
    command = processes.server_command("127.0.0.1", 1, log=tmp_path / "log")
    child = Child(command, ended(code), started=100.0, is_proven=is_proven)
    check(child, 101.0)
    assert (child.is_done, child.due is None) == (is_final, is_final)


def test_a_worker_is_a_service_too() -> None:
    """It goes on for as long as its server."""
    (command,) = processes.worker_commands("http://127.0.0.1:1", ["cpu"])
    assert command.final == supervisor.SERVICE


def test_leaving_ends_what_runs(tmp_path: Path) -> None:
    """A worker that waits for its server ends when it is asked."""
    arguments = ("worker", "--server", "http://127.0.0.1:9", "--device", "cpu")
    home = {"SEGTUNE_HOME": str(tmp_path)}
    command = Command("worker", arguments, stage=1, environment=home, log=tmp_path / "log")
    with Supervisor().running() as running:
        running.start(command)
        assert running.alive == ("worker",)
    assert running.alive == ()
    assert running.ended("worker") is None  # it was ended: that is no failure of its own
