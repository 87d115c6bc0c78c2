"""A server that answers 429 is busy: a worker asks less often, and loses nothing over it."""

import hashlib
from collections.abc import Callable
from itertools import pairwise
from time import monotonic

import pytest

from tests.workers.conftest import QUICK
from tests.workers.fake_server import FakeServer, assignment
from tuner.answers import Answer, error_of
from tuner.errors import ServerBusy, ServerFailing, ServerUnreachable
from tuner.spec.messages import ArtifactRef, OutcomeKind
from workers.client import ServerClient
from workers.retries import TRIES, RetryLimit, pause
from workers.settings import WorkerSettings

Work = Callable[..., int]
REPORTS = "POST leases/lease-1/reports"


def busy(server: FakeServer, part: str, asked: str, times: int) -> None:
    """Answer 429 to the first so many requests of one kind, and all others as ever."""
    server.statuses[part] = 429

    def change(fake: FakeServer, name: str) -> None:
        if fake.requests.count(asked) > times:
            fake.statuses.pop(part, None)

    server.on_request = change


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        ("reports", REPORTS),
        ("finish", "POST leases/lease-1/finish"),
        ("model", "PUT leases/lease-1/artifacts/model"),
        ("lease-1", "PUT leases/lease-1"),
    ],
)
def test_no_trial_is_lost_over_a_rate(
    server: FakeServer, work: Work, settings: WorkerSettings, part: str, asked: str
) -> None:
    """However often it is refused, while heartbeats or reports pass: nothing is set aside."""
    server.waiting.append(assignment(lease_seconds=0.05))
    busy(server, part, asked, TRIES + 3)
    work("heartbeat report=1 model finish=completed", limits=QUICK)

    (end,) = server.finished
    assert (end[1].kind, server.steps) == (OutcomeKind.COMPLETED, [1])
    assert [upload.kind for upload in server.uploads] == ["model"]
    assert not (settings.home / "refused").exists()


def test_a_checkpoint_is_waited_for(server: FakeServer, work: Work) -> None:
    """A trial does not start afresh because its checkpoint cannot be had at once."""
    content = b"state"
    digest = hashlib.sha256(content).hexdigest()
    ref = ArtifactRef(id=9, name="checkpoint", kind="checkpoint", size=5, sha256=digest)
    server.files[9] = content
    server.waiting.append(assignment(resume=ref))
    busy(server, "9", "GET artifacts/9", TRIES + 3)
    work("report=1 finish=completed")

    assert server.requests.count("GET artifacts/9") > TRIES + 3
    assert server.finished[0][1].kind is OutcomeKind.COMPLETED


def test_a_worker_waits_as_long_as_it_is_told(server: FakeServer, work: Work) -> None:
    """`Retry-After` counts in seconds, and for the next request alone."""
    server.retry_after = "1"
    server.waiting.append(assignment())
    busy(server, "reports", REPORTS, 1)
    seen: list[float] = []
    change = server.on_request
    assert change is not None

    def note(fake: FakeServer, name: str) -> None:
        if name == REPORTS:
            seen.append(monotonic())
        change(fake, name)

    server.on_request = note
    work("report=1 finish=completed")

    assert [later - earlier >= 0.95 for earlier, later in pairwise(seen)] == [True]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 400, 60.0),
        ("-3", 0.0),
        ("1.5", 0.0),
        ("²", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_no_answer_makes_a_client_wait_for_long(said: str, seconds: float) -> None:
    """A minute at most; what is not a number of seconds is passed over."""
    error = error_of(Answer("http://x", 429, b"<html>slow down</html>", {"retry-after": said}))

    assert isinstance(error, ServerBusy)
    assert error.seconds == seconds
    assert pause(0.5, error) == max(0.5, seconds)
    assert pause(0.5, ServerFailing("500")) == 0.5


def test_a_busy_server_is_not_asked_whether_it_lives() -> None:
    """The heartbeat that other failures are checked with would be one request more."""
    asked: list[int] = []
    retries = RetryLimit(lambda: asked.append(1), limit=1)

    assert not any(retries.is_over(ServerBusy("429")) for _ in range(100))
    assert asked == []


def test_patience_waits_as_long_as_it_is_told(server: FakeServer) -> None:
    """A request that is repeated by its caller waits likewise."""
    server.statuses, server.retry_after = {"finish": 429}, "4"
    client, waited = ServerClient(server.address), list[float]()

    def give_up(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    with pytest.raises(ServerUnreachable, match="429"):
        client.patiently(lambda: client._send("POST", "leases/a/finish"), give_up=give_up)
    client.close()

    assert waited == [4.0, 4.0, 4.0]
