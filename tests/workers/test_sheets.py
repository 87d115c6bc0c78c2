"""Sheets of validation images on their way to the server: never worth a report, or a trial."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import QUICK
from tests.workers.fake_server import FakeServer, assignment
from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import OutcomeKind
from workers.outbox import FileEntry
from workers.protocol import SheetDrawn
from workers.sheets import Sheets

Work = Callable[..., int]
ALL = dataclasses.replace(QUICK, examples=0.0)
IMAGE = {"index": 0, "name": "a", "size": (1, 1), "box": (0, 0, 1, 1)}
DETAILS = SheetDetails.model_validate({"width": 1, "height": 1, "images": (IMAGE,)})


def shown(server: FakeServer) -> list[tuple[str, int | None]]:
    """Name and step of every picture that came."""
    return [(upload.name, upload.step) for upload in server.uploads]


def test_sheets_go_up_with_what_lies_where(server: FakeServer, work: Work) -> None:
    """Before the outcome, under their files' names, with details in plain ASCII."""
    server.waiting.append(assignment())
    work("sheet=0 sheet=1 report=1 sheet=2 report=2 finish=completed", limits=ALL)
    assert shown(server) == [
        ("photos-0.png", None),
        ("predictions-1.png", 1),
        ("predictions-2.png", 2),
    ]
    assert server.uploads[1].content == b"predictions 1"
    told = server.uploads[1].details or ""
    assert told.isascii()
    assert json.loads(told)["images"][0]["name"] == "straße.png"
    assert server.requests[-1] == "POST leases/lease-1/finish"


def test_sheets_that_come_fast_are_thinned(server: FakeServer, work: Work) -> None:
    """The first goes up, and the last with the outcome."""
    server.waiting.append(assignment())
    slow = dataclasses.replace(QUICK, examples=1000.0)
    work("sheet=1 report=1 sheet=2 report=2 sheet=3 report=3 finish=completed", limits=slow)
    assert shown(server) == [("predictions-1.png", 1), ("predictions-3.png", 3)]


@pytest.mark.parametrize(("status", "tried"), [(422, 1), (500, 3), (404, 1)])
def test_a_picture_that_is_not_taken_is_forgotten(
    server: FakeServer, work: Work, status: int, tried: int
) -> None:
    """Reports and outcome arrive all the same; what is refused for good is not tried again."""
    server.waiting.append(assignment())
    names = [f"predictions-{step}.png" for step in (1, 2, 3)]
    server.statuses = dict.fromkeys(names, status)
    plan = " ".join(f"sheet={step} report={step}" for step in (1, 2, 3))
    assert work(f"{plan} finish=completed", limits=ALL) == 0
    assert server.steps == [1, 2, 3]
    assert [outcome.kind for _, outcome in server.finished] == [OutcomeKind.COMPLETED]
    assert sum("artifacts/" in request for request in server.requests) == tried


def test_a_lost_lease_ends_the_work_as_ever(server: FakeServer, work: Work) -> None:
    """A picture that comes too late is what tells it."""
    server.waiting.append(assignment())
    server.stale.add("lease-1")
    work("sheet=1 until-yield finish=stopped", limits=ALL)
    assert server.finished == []


def _sheet(path: Path, step: int) -> SheetDrawn:
    path.write_bytes(b"picture")
    return SheetDrawn(artifact=ArtifactKind.PREDICTIONS, path=path, details=DETAILS, step=step)


def test_what_is_overtaken_leaves_no_file(tmp_path: Path) -> None:
    """Nor is the last one handed on twice."""
    now, put = 0.0, list[FileEntry]()
    sheets = Sheets(put.append, every=10, clock=lambda: now)
    for step in (1, 2, 3):
        sheets.take(_sheet(tmp_path / f"{step}.png", step))
    now = 11.0
    sheets.take(_sheet(tmp_path / "4.png", 4))
    sheets.close()
    sheets.close()
    assert [entry.step for entry in put] == [1, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "4.png"]
