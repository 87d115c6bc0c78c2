"""What a worker sends of a file, by what the server says of it."""

import io
from collections.abc import Iterator, Mapping

import pytest

from tuner.answers import Answer
from tuner.errors import (
    Conflict,
    DamagedArtifact,
    DigestMismatch,
    LeaseLost,
    NotFound,
    SegtuneError,
    ServerBusy,
    ServerError,
    StorageFull,
    Unauthorized,
    UploadMoved,
)
from workers import resuming
from workers.resuming import send_file

DATA = b"0123456789"
HEADERS = {"Lease-Token": "t", "Content-SHA256": "0" * 64, "Content-Length": str(len(DATA))}


class Script:
    """A server that answers each method in one way, and remembers what came."""

    def __init__(self, head: str | SegtuneError, patch: SegtuneError | None = None) -> None:
        self.head, self.patch = head, patch
        self.came: list[tuple[str, bytes]] = []
        self.said: dict[str, Mapping[str, str]] = {}

    def __call__(
        self,
        method: str,
        path: str,
        body: Iterator[bytes] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> Answer:
        """Answer one request."""
        assert ("?" in path) == (method != "HEAD")
        self.came.append((method, b"".join(body or ())))
        self.said[method] = headers or {}
        refusal = {"HEAD": self.head, "PATCH": self.patch}.get(method)
        if isinstance(refusal, SegtuneError):
            raise refusal
        return Answer(path, 200, method.encode(), {"Upload-Offset": str(refusal)})


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "RESUMABLE", len(DATA))


def sent(script: Script) -> list[tuple[str, bytes]]:
    """All requests for a file, the first aside, which asks."""
    send_file(script, "leases/1/artifacts/model?kind=model", io.BytesIO(DATA), HEADERS)
    assert script.came[0] == ("HEAD", b"")
    return script.came[1:]


@pytest.mark.parametrize("offset", [1, 4, 10])
def test_the_rest(offset: int) -> None:
    """From where the server's bytes end, with the length of what is sent."""
    script = Script(str(offset))
    assert sent(script) == [("PATCH", DATA[offset:])]
    said = script.said["PATCH"]
    assert said["Content-Length"] == str(len(DATA) - offset)
    assert (said["Upload-Offset"], said["Upload-Complete"]) == (str(offset), "?1")
    assert said["Content-SHA256"] == HEADERS["Content-SHA256"]


@pytest.mark.parametrize(
    "head",
    ["0", "11", "", "-3", "x", "9" * 5000, ServerError("405"), NotFound("404")],
    ids=lambda head: str(head)[:9],
)
def test_all_of_it(head: str | SegtuneError) -> None:
    """Where nothing is there, or the server is of another release, or says something odd."""
    assert sent(Script(head)) == [("PUT", DATA)]


@pytest.mark.parametrize("error", [UploadMoved, DamagedArtifact, DigestMismatch])
def test_all_of_it_after_a_rest_that_did_not_fit(error: type[SegtuneError]) -> None:
    """At once: asking again could lead to the same, with a server on another machine."""
    assert sent(Script("4", error("no"))) == [("PATCH", DATA[4:]), ("PUT", DATA)]


@pytest.mark.parametrize("error", [ServerBusy("423"), Unauthorized("401"), LeaseLost("409")])
def test_what_ends_the_attempt(error: SegtuneError) -> None:
    """The caller decides what is to be done, and nothing else is sent."""
    for script in (Script(error), Script("4", error)):
        with pytest.raises(type(error)):
            sent(script)
        assert "PUT" not in dict(script.came)
    with pytest.raises(StorageFull):
        sent(Script("4", StorageFull("507")))


def test_a_refusal_without_a_body() -> None:
    """A HEAD has none; its only conflict is the lease."""
    with pytest.raises(LeaseLost):
        sent(Script(Conflict("409")))


def test_a_small_file_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a question."""
    monkeypatch.setattr(resuming, "RESUMABLE", len(DATA) + 1)
    script = Script("4")
    send_file(script, "leases/1/artifacts/log?kind=log", io.BytesIO(DATA), HEADERS)
    assert script.came == [("PUT", DATA)]
