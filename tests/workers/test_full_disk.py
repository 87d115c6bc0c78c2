"""A disk that takes no more, under the server or the outbox: nothing measured is lost."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.fake_server import FakeServer, assignment, order
from tuner.errors import ServerFull
from tuner.spec.messages import OutcomeKind, Report
from workers import outbox
from workers.client import ServerClient
from workers.outbox import Outbox, ReportEntry
from workers.retries import TRIES

Work = Callable[..., int]
PUT = "PUT leases/lease-1/artifacts/"


@pytest.fixture(autouse=True)
def _hear(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def fill(server: FakeServer, request: str, times: int) -> None:
    """Let the server have no room until it was asked for that so often."""
    server.statuses[request.rpartition("/")[2]] = 507

    def change(fake: FakeServer, name: str) -> None:
        if fake.requests.count(request) > times:
            fake.statuses = {}

    server.on_request = change


def test_it_is_an_error_of_its_own(server: FakeServer) -> None:
    """Whatever is asked: nothing that a worker could do would change it."""
    server.statuses["lease-1"] = 507
    client = ServerClient(server.address)
    with pytest.raises(ServerFull):
        client.renew("lease-1", "token")
    client.close()


def test_reports_wait_for_room_without_end(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """The database's disk: training goes on, and no report is set aside."""
    server.waiting.append(assignment())
    fill(server, "POST leases/lease-1/reports", 2 * TRIES)
    work("report=1 report=2 report=3 finish=completed")
    ((_, outcome),) = server.finished
    assert (server.steps, outcome.kind) == ([1, 2, 3], OutcomeKind.COMPLETED)
    assert caplog.text.count("reports of streets/7 wait") == 1
    assert "answers again" in caplog.text


def test_reports_pass_files_for_which_there_is_no_room(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """A preview waits; it goes up before the outcome, when there is room again."""
    server.waiting.append(assignment())
    fill(server, PUT + "preview.webp", 2)
    work("preview report=1 report=2 finish=completed")
    ends = [name for name in server.requests if name.endswith(("reports", "webp", "finish"))]
    assert server.steps == [1, 2]
    assert [upload.kind for upload in server.uploads] == ["preview"]
    assert ends[-1].endswith("finish")
    assert caplog.text.count("files of streets/7 wait") == 1
    assert caplog.text.count("files are stored again") == 1


def test_the_outcome_does_not_wait_for_ever(server: FakeServer, work: Work) -> None:
    """After some tries the trial ends without its model: the numbers are what counts."""
    server.waiting.append(assignment())
    server.statuses["model"] = 507
    work("report=1 model finish=completed")
    ((_, outcome),) = server.finished
    assert outcome.kind is OutcomeKind.COMPLETED
    assert server.requests.count(PUT + "model") == TRIES + 1
    assert "[worker] files of streets/7 wait" in server.logs[0]


def test_checkpoints_wait_and_the_trial_s_log_says_so(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """Once in the worker's log at each change, and in what the trial's page shows."""
    server.waiting.append(assignment(lease_seconds=0.05))
    server.statuses["checkpoint"] = 507

    def change(fake: FakeServer, name: str) -> None:
        if any("checkpoints wait" in told.get("log", "") for told in fake.vitals):
            fake.statuses = {}
        if fake.uploads:
            fake.heartbeat = order("yield")

    server.on_request = change
    work("heartbeat report=1 save=1 until-yield finish=yielded")
    assert [upload.kind for upload in server.uploads] == ["checkpoint"]
    assert caplog.text.count("checkpoints wait") == 1
    assert caplog.text.count("checkpoints are uploaded again") == 1


def refuse(descriptor: int) -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_outbox_says_each_time_that_its_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once when it begins and once when it is over; what was written in between is there."""
    box = outbox.create(tmp_path, assignment(), server="s", host="h")
    write = os.fsync
    full = [False, True, True, False, True, False]
    for step, is_full in enumerate(full, start=1):
        with monkeypatch.context() as disk:
            disk.setattr("workers.outbox.os.fsync", refuse if is_full else write)
            box.append(ReportEntry(report=Report(step=step, metrics={})))
        assert bool(box.notices.text) == is_full
    assert caplog.text.count("cannot be written") == 2
    assert caplog.text.count("is written again") == 2
    box.release()
    (found,) = outbox.leftovers(tmp_path, server="s", host="h")
    assert isinstance(found, Outbox)
    assert found.last_step == len(full)
    found.remove()
