"""The agent in trouble: what it outlives, what it gives back, and what it sets aside."""

import errno
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workers.conftest import BRIEF, QUICK, TRAINER
from tests.workers.fake_server import FakeServer, assignment, order
from tuner.errors import (
    LeaseLost,
    SegtuneError,
    ServerFailing,
    ServerUnreachable,
    UnsupportedVersion,
)
from tuner.spec.messages import ArtifactRef, Outcome, OutcomeKind, Report, Unfitness
from workers import outbox
from workers.agent import run
from workers.client import ServerClient
from workers.delivery import Delivery
from workers.devices import hostname
from workers.notices import Notices
from workers.outbox import ReportEntry
from workers.retries import TRIES, RetryLimit
from workers.settings import WorkerSettings

Work = Callable[..., int]


def outcome_of(server: FakeServer) -> Outcome:
    """The only outcome."""
    ((_, outcome),) = server.finished
    return outcome


def at_first(server: FakeServer, part: str, times: int, **state: Any) -> None:
    """Let the server be in a state for its first answers to a kind of request."""

    def change(fake: FakeServer, name: str) -> None:
        seen = sum(each.split("/")[-1].split(" ")[-1] == part for each in fake.requests)
        for key, value in state.items():
            setattr(fake, key, value if seen <= times else type(value)())

    server.on_request = change


# ── Asking ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [302, 400, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503])
def test_no_answer_to_a_request_for_work_ends_the_worker(
    server: FakeServer, work: Work, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and asked again, until there is a trial."""
    caplog.set_level(logging.INFO)
    server.waiting.append(assignment())
    at_first(server, "leases", 3, statuses={"leases": status})
    assert work("finish=completed") == 0
    assert outcome_of(server).kind is OutcomeKind.COMPLETED
    assert server.requests.count("POST leases") == 4
    told = [record for record in caplog.records if "no trial from" in record.getMessage()]
    assert len(told) == 1
    assert "answers again" in caplog.text


class Raw:
    """An answer as another server would give it."""

    def __init__(self, content: str) -> None:
        self.content = content

    def model_dump_json(self) -> str:
        """Give it as it is."""
        return self.content


@pytest.mark.parametrize("content", ["<h1>Sign in</h1>", "[]", '{"detail": "ok"}', '"x"', ""])
def test_an_answer_that_is_none_may_pass(server: FakeServer, work: Work, content: str) -> None:
    """Such pages come from gateways while the server is away."""
    server.waiting += [Raw(content), assignment()]  # type: ignore[list-item]  # not one of ours
    work("finish=completed")
    assert outcome_of(server).kind is OutcomeKind.COMPLETED


def newer(lease: str) -> Raw:
    """An assignment with a field that this release does not know."""
    content = json.loads(assignment(lease).model_dump_json())
    content["config"]["distillation"] = {"teacher": "vit"}
    return Raw(json.dumps(content))


def test_an_assignment_of_a_newer_server_is_an_unsupported_version(
    server: FakeServer, work: Work
) -> None:
    """The trial goes back at once, and the message says what cannot be read and what to do."""
    server.waiting.append(newer("lease-1"))  # type: ignore[arg-type]  # not one of ours
    with pytest.raises(
        UnsupportedVersion, match=r"config.distillation.*install the server's release"
    ):
        work("finish=completed")
    assert outcome_of(server).unfitness is Unfitness.MACHINE


def test_a_server_may_say_that_a_worker_is_too_old(server: FakeServer, work: Work) -> None:
    """426 is final: asking again changes nothing."""
    server.statuses["leases"] = 426
    with pytest.raises(UnsupportedVersion):
        work("finish=completed")


# ── Surroundings ─────────────────────────────────────────────────────────────────────────────


def test_a_trainer_that_does_not_start_is_reported(server: FakeServer, work: Work) -> None:
    """A worker without a trainer takes no trial; the server hears why, again and again."""
    server.waiting.append(assignment())
    stop = threading.Event()
    server.on_request = lambda fake, name: stop.set() if len(fake.requests) == 3 else None
    assert work("stillborn", stop=stop) == 0
    assert len(server.waiting) == 1
    assert all("no such library" in asked["unfit"] for asked in server.workers)


@pytest.mark.parametrize("missing", ["program", "script", "log folder"])
def test_a_worker_comes_back_when_its_trainer_starts(
    server: FakeServer, settings: WorkerSettings, tmp_path: Path, missing: str
) -> None:
    """Whatever kept it from starting: it is tried again by itself."""
    server.waiting.append(assignment())
    script, program = tmp_path / "trainer.py", tmp_path / "python"
    logs = settings.home / "logs"
    shutil.copy(TRAINER, script)
    program.symlink_to(sys.executable)
    if missing == "log folder":
        logs.parent.mkdir(parents=True)
        logs.write_text("in the way")
    else:
        (script if missing == "script" else program).unlink()

    def repair(fake: FakeServer, name: str) -> None:
        if len(fake.requests) == 2 and missing == "log folder":
            logs.unlink()
        elif len(fake.requests) == 2:
            shutil.copy(TRAINER, script)
            program.unlink(missing_ok=True)
            program.symlink_to(sys.executable)

    server.on_request = repair
    command = [str(program), "-SE", str(script), "finish=completed"]
    assert run(settings, max_trials=1, command=command, limits=QUICK) == 0
    assert [bool(asked.get("unfit")) for asked in server.workers] == [True, True, False]
    assert outcome_of(server).kind is OutcomeKind.COMPLETED


@pytest.mark.parametrize(
    "kind", [Unfitness.DATA, Unfitness.WEIGHTS, Unfitness.PACKAGE, Unfitness.DEVICE]
)
def test_a_trial_is_given_back_with_its_reason(
    server: FakeServer,
    work: Work,
    settings: WorkerSettings,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The outcome says what is missing, its log goes with it, and a fresh trainer follows.

    The worker's own log has the message in a line, and leaves the traceback to the outcome.
    """
    server.waiting += [assignment("a"), assignment("b")]
    work(f"print=once lack={kind}", trials=2)
    assert [outcome.unfitness for _, outcome in server.finished] == [kind, kind]
    assert [upload.kind for upload in server.uploads] == ["log", "log"]
    assert (settings.home / "logs" / "w1.log").read_text() == "once\n"
    assert all("Traceback" in (outcome.error or "") for _, outcome in server.finished)
    assert "cannot train it: scripted" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_full_disk_gives_the_trial_back(
    server: FakeServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before training: the next trial is taken when there is room again."""
    create = outbox.create
    full = iter([True])

    def fill(*args: Any, **options: Any) -> outbox.Outbox:
        if next(full, False):
            raise OSError(errno.ENOSPC, "No space left on device", "/cache")
        return create(*args, **options)

    monkeypatch.setattr(outbox, "create", fill)
    server.waiting += [assignment("a"), assignment("b")]
    work("finish=completed", trials=2)
    ends = {lease: (outcome.kind, outcome.error_kind) for lease, outcome in server.finished}
    assert ends == {"a": ("yielded", "machine"), "b": ("completed", None)}
    assert "No space left" in (server.finished[0][1].error or "")


def test_reports_that_the_disk_does_not_take_are_delivered(
    server: FakeServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are kept in memory, and told once."""

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # Of the entries alone: the header was written before the disk was full.
    monkeypatch.setattr(outbox, "os", SimpleNamespace(fsync=refuse, truncate=os.truncate))
    server.waiting.append(assignment())
    work("report=1 report=2 finish=completed")
    assert (server.steps, outcome_of(server).kind) == ([1, 2], OutcomeKind.COMPLETED)
    assert caplog.text.count("kept in memory") == 1


def test_a_mistake_of_ours_gives_the_trial_back(
    server: FakeServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the agent itself stumbles over, what it has goes in and the next trial follows."""
    broken = iter([True])
    judge = Delivery.report

    def stumble(self: Delivery, report: Report, **options: Any) -> Any:
        verdict = judge(self, report, **options)
        if next(broken, False):
            raise ZeroDivisionError("by zero")
        return verdict

    monkeypatch.setattr(Delivery, "report", stumble)
    server.waiting += [assignment("a"), assignment("b")]
    work("report=1 finish=completed", trials=2)
    assert [(lease, end.kind) for lease, end in server.finished] == [
        ("a", OutcomeKind.YIELDED),
        ("b", OutcomeKind.COMPLETED),
    ]
    assert "by zero" in (server.finished[0][1].error or "")


# ── Handing in ───────────────────────────────────────────────────────────────────────────────


def aside(settings: WorkerSettings) -> dict[str, Any]:
    """The only file of what was refused."""
    (path,) = (settings.home / "refused").iterdir()
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_a_refused_batch_is_set_aside(
    server: FakeServer, work: Work, settings: WorkerSettings, status: int
) -> None:
    """It is kept in a file that the trial's error names; the next trial is trained."""
    server.waiting.append(assignment("a"))
    server.statuses["reports"] = status
    work("heartbeat report=1 finish=completed")
    error = outcome_of(server).error or ""
    kept = aside(settings)
    assert "refused what the worker had to say" in error
    assert str(settings.home / "refused") in error
    assert (kept["study"], kept["trial"], kept["entries"][0]["report"]["step"]) == ("streets", 7, 1)
    assert "token" not in kept
    server.set(statuses={}, waiting=[assignment("b")])
    work("report=1 finish=completed")
    assert server.finished[-1][1].kind is OutcomeKind.COMPLETED


@pytest.mark.parametrize("status", [500, 503])
def test_a_batch_that_always_fails_is_set_aside(
    server: FakeServer, work: Work, settings: WorkerSettings, status: int
) -> None:
    """The server answers heartbeats, but never this: after some tries it is the batch's fault."""
    server.waiting.append(assignment())
    server.statuses["reports"] = status
    work("heartbeat report=1 until-yield finish=stopped")
    assert f"{TRIES} times while the server answered other requests" in (
        outcome_of(server).error or ""
    )
    assert server.requests.count("POST leases/lease-1/reports") == TRIES
    assert aside(settings)["entries"][0]["report"]["step"] == 1


def test_what_was_left_behind_and_is_refused_ends_its_trial(
    server: FakeServer, work: Work, settings: WorkerSettings
) -> None:
    """An outbox that no server takes does not keep the worker from its next trial."""
    folder = settings.cache_folder / "leases"
    box = outbox.create(folder, assignment("a"), server=server.address, host=hostname())
    box.append(ReportEntry(report=Report(step=1, metrics={})))
    box.release()
    server.set(statuses={"reports": 500}, waiting=[assignment("b")])
    work("finish=completed")
    assert [(lease, end.kind) for lease, end in server.finished] == [
        ("a", OutcomeKind.FAILED),
        ("b", OutcomeKind.COMPLETED),
    ]


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_a_heartbeat_that_fails_ends_no_trial(
    server: FakeServer, work: Work, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a lost lease and a refused token do; the reports still come in."""
    server.waiting.append(assignment(lease_seconds=0.03))
    server.statuses["lease-1"] = status

    def go_on(fake: FakeServer, name: str) -> None:
        if fake.requests.count("PUT leases/lease-1") == 3:
            fake.heartbeat = order("yield")
            fake.statuses = {}

    server.on_request = go_on
    work("heartbeat report=1 until-yield report=2 finish=completed")
    assert (server.steps, outcome_of(server).kind) == ([1, 2], OutcomeKind.COMPLETED)
    assert caplog.text.count("lease not renewed") == 1


def test_a_model_that_cannot_be_stored_does_not_hold_up_the_outcome(
    server: FakeServer, work: Work
) -> None:
    """The outcome matters more than a file."""
    server.waiting.append(assignment())
    server.statuses["model"] = 500
    work("report=1 model finish=completed")
    assert outcome_of(server).kind is OutcomeKind.COMPLETED
    assert server.requests.count("PUT leases/lease-1/artifacts/model") == TRIES


def test_a_checkpoint_that_never_comes_is_done_without(server: FakeServer, work: Work) -> None:
    """The same config from step 1 gives the same numbers, only later."""
    ref = ArtifactRef(id=9, name="checkpoint", kind="checkpoint", size=1, sha256="0" * 64)
    server.statuses["9"] = 500
    server.waiting.append(assignment(resume=ref))
    work("report=1 finish=completed")
    assert outcome_of(server).kind is OutcomeKind.COMPLETED
    assert server.requests.count("GET artifacts/9") == TRIES


# ── The parts ────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_is_away_is_waited_for_without_end() -> None:
    """Failures count only while other requests work."""

    def away() -> None:
        raise ServerUnreachable("gone")

    retries = RetryLimit(away, limit=2)
    assert not any(retries.is_over(ServerFailing("500")) for _ in range(100))
    answering = RetryLimit(lambda: None, limit=2)
    assert not any(answering.is_over(ServerUnreachable("gone")) for _ in range(100))
    assert [answering.is_over(ServerFailing("500")) for _ in range(2)] == [False, True]


def test_patience_ends_with_the_lease() -> None:
    """What the probe is told of the lease holds for the request too."""

    def lost() -> None:
        raise LeaseLost("yours no more")

    with pytest.raises(LeaseLost):
        RetryLimit(lost).is_over(ServerFailing("500"))


def test_a_trouble_that_lasts_is_reported_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """A new one at once; the end of it too."""
    caplog.set_level(logging.INFO)
    now = [0.0]
    notices = Notices(lambda: now[0])
    for second in range(0, 7200, 60):
        now[0] = float(second)
        notices.trouble("no answer")
    notices.trouble("another")
    notices.over("fine")
    notices.over("fine")
    told = [record.getMessage() for record in caplog.records]
    assert told == ["no answer", "no answer (still, 61 times by now)", "another", "fine"]


def test_an_outbox_catches_up_with_the_disk(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is torn, doubled or out of order on disk, whichever writes failed."""
    box = outbox.create(tmp_path, assignment(), server="s", host="h")
    entries = [ReportEntry(report=Report(step=step, metrics={})) for step in range(1, 6)]
    write = os.fsync
    for entry, fails in zip(entries, [False, True, True, False, True], strict=True):
        with monkeypatch.context() as disk:
            disk.setattr("workers.outbox.os.fsync", _refuse if fails else write)
            box.append(entry)
    assert box.entries == entries
    box.release()
    (found,) = outbox.leftovers(tmp_path, server="s", host="h")
    assert found.entries[:4] == entries[:4]
    found.remove()


def _refuse(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "body",
    [b'{"problems": [1]}', b'{"problems": 5}', b'{"problems": [{"location": 5}]}', b"[]", b"{"],
)
def test_a_malformed_refusal_is_an_error_of_ours(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Whatever a server says, the client raises what its callers expect."""
    client = ServerClient(server.address, backoff=BRIEF)
    monkeypatch.setattr(server, "answer", lambda *request: (422, body))
    with pytest.raises(SegtuneError):
        client.renew("lease-1", "token")
    client.close()
