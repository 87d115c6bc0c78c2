"""`segtune workers`, and what `watch` says of a worker that cannot train."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.unit.cli_samples import NOON, event, view
from tuner.cli import workers as command
from tuner.cli.app import app
from tuner.cli.show import narration, screen
from tuner.spec.fleet import QueueView, WorkerView
from tuner.spec.messages import Capabilities


class Fleet:
    """A server with these workers."""

    def __init__(self, *workers: WorkerView) -> None:
        self.found = workers

    def workers(self) -> tuple[WorkerView, ...]:
        """All of them."""
        return self.found


def worker(name: str, **changes: Any) -> WorkerView:
    """A worker that was seen just now."""
    now = datetime.now(UTC)
    shown: dict[str, Any] = {"first_seen_at": now, "last_seen_at": now, "state": "idle"}
    return WorkerView(name=name, capabilities=Capabilities(), **{**shown, **changes})


def listed(monkeypatch: pytest.MonkeyPatch, *workers: WorkerView) -> str:
    """What the command prints for these workers."""
    monkeypatch.setattr(command, "connect", lambda server, token: Fleet(*workers))
    return CliRunner().invoke(app, ["workers"]).output


def test_an_unfit_worker_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker has a row, with what it does and what keeps it from more."""
    told = "streets: the data set's root 'set' is not there"
    busy = worker("w1", state="busy", study="streets", study_id=1, trial=3)
    rows = listed(monkeypatch, busy, worker("w2", state="unfit", unfit_reason=told)).splitlines()
    assert any("w1" in row and "streets 3" in row for row in rows)
    assert any("w2" in row and "unfit" in row and told in row for row in rows)


def test_without_workers_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than an empty table."""
    assert "segtune worker" in listed(monkeypatch)


def test_a_worker_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says whether the worker still trains; and that it takes trials again."""
    told = [
        (["drain", "w1"], {"state": "draining", "study": "streets", "trial": 3}),
        (["drain", "w1"], {"state": "drained"}),
        (["undrain", "w1"], {}),
    ]
    said = []
    for words, changes in told:
        server = SimpleNamespace(**{words[0]: lambda name, known=changes: worker(name, **known)})
        monkeypatch.setattr(command, "connect", lambda *_, to=server: to)
        said.append(CliRunner().invoke(app, words).output.strip())
    assert said == [
        "worker w1 ends streets 3, and takes no other",
        "worker w1 is drained; it may be stopped",
        "worker w1 takes trials again",
    ]


def test_the_queue_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each study has a row with its turn and the reason; an empty one is said to be."""
    entry: dict[str, Any] = {"study": "streets", "study_id": 1, "state": "running", "share": 2}
    entry |= {"priority": 50, "weight": 1, "waiting": 1, "running": 2, "paused": 3, "left": 40}
    entry |= {"place": 1, "parallel": 4, "why": "busy", "reason": "the only worker is busy"}
    for entries, wanted in (([entry], r"1 +streets +50 +2/4 +1 +3 +40 +the only"), ([], "nothing")):
        found = QueueView.model_validate({"entries": entries, "workers": 1, "free": []})
        server = SimpleNamespace(queue=lambda known=found: known)
        monkeypatch.setattr(command, "connect", lambda *_, to=server: to)
        output = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["queue"]).output
        assert re.search(wanted, output), output


def test_watch_tells_a_warning_as_it_comes() -> None:
    """On a terminal it stays in the picture; elsewhere it is a line."""
    told = event(3, "study.warned", text="worker w2 cannot train this study")
    line = narration.line(told, view().objective)
    assert (line or "").endswith("warning: worker w2 cannot train this study")
    console = Console(width=120)
    with console.capture() as captured:
        console.print(screen.screen(view(warnings=("worker w2 cannot",)), [], NOON))
    assert "worker w2 cannot" in captured.get()
