"""Webhooks: every event once at least, in order, signed, to nobody who must not be asked."""

import base64
import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from api.webhooks import hooks, messages, posting
from api.webhooks.hooks import Hook
from api.webhooks.posting import Posted
from api.webhooks.sender import LONGEST_PAUSE, POLL_SECONDS, REFUSALS, Sender
from tests.api.samples import running
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidInput
from tuner.service import studies
from tuner.service.webhooks import Unsent
from tuner.spec.events import EventKind
from tuner.spec.views import Event, StudyChange
from tuner.store.engine import Database

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TAKEN = Posted(True)


def hook(**changes: Any) -> Hook:
    """A webhook that wants all events."""
    given = {"name": "ops", "url": "http://127.0.0.1/hooks/1", "secret": SECRET}
    return Hook.model_validate({**given, "events": list(EventKind), **changes})


class Receiver:
    """Takes what is posted, or answers as it is sent to."""

    def __init__(self, *answers: Posted) -> None:
        self.answers = list(answers)
        self.got: list[dict[str, Any]] = []

    def __call__(self, hook: Hook, content: bytes, headers: Mapping[str, str]) -> Posted:
        """The answer; a message that is taken is kept."""
        answer = self.answers.pop(0) if self.answers else TAKEN
        if answer.is_taken:
            self.got.append(json.loads(content))
        return answer

    @property
    def seen(self) -> list[int]:
        """Numbers of the events that were taken."""
        return [each["seq"] for each in self.got]


def sender(db: Database, receiver: Receiver, **changes: Any) -> Sender:
    """A sender in a server that has just started, and knows its webhook already."""
    return Sender(db, hook(**changes), post=receiver)


def test_events_are_told_once_in_order(database: Database) -> None:
    """What happened before the webhook was known is not; later rounds go on."""
    fleet, receiver = Fleet(database), Receiver()
    fleet.submit(spec("before"))
    first = sender(database, receiver)
    assert first.round() == POLL_SECONDS
    assert receiver.got == []
    fleet.submit()
    first.round()
    held = fleet.take(study="streets")
    fleet.train(held)
    first.round()
    first.round()
    assert {each["study"]["name"] for each in receiver.got} == {"streets"}
    assert receiver.seen == list(range(1, len(receiver.seen) + 1))
    assert receiver.got[-1]["type"] == "trial.ended"
    assert receiver.got[-1]["data"]["state"] == "completed"
    assert len({each["id"] for each in receiver.got}) == len(receiver.got)


def test_a_restart_loses_nothing(database: Database) -> None:
    """The next server goes on behind what was taken, and repeats what was not."""
    first, receiver = sender(database, Receiver()), Receiver(TAKEN, Posted(False, "it broke"))
    first.round()
    Fleet(database).submit()
    Fleet(database).take()
    first.close()
    second = sender(database, receiver)
    assert second.round() > 0
    assert receiver.seen == [1]
    second.close()
    sender(database, receiver).round()
    assert receiver.seen == list(range(1, len(receiver.seen) + 1))
    assert len(receiver.seen) > 2


def test_one_process_sends(database: Database) -> None:
    """Another one begins when the first has ended."""
    first, second = Receiver(), Receiver()
    sending, waiting = sender(database, first), sender(database, second)
    sending.round()
    Fleet(database).submit()
    waiting.round()
    assert second.got == []
    sending.close()
    waiting.round()
    assert second.seen == [1]


def test_a_dead_process_is_replaced(clocked_database: Database, clock: Any) -> None:
    """Its time runs out by itself."""
    receiver = Receiver()
    sender(clocked_database, Receiver()).round()
    Fleet(clocked_database).submit()
    clock.advance(61)
    sender(clocked_database, receiver).round()
    assert receiver.seen == [1]


def test_what_fails_is_tried_ever_more_rarely(database: Database) -> None:
    """Without an end, as long as the receiver may recover; it may ask for a longer pause."""
    receiver = Receiver(*[Posted(False, "down")] * 12, Posted(False, "busy", wait=3000))
    trying = sender(database, receiver)
    trying.round()
    Fleet(database).submit()
    pauses = [trying.round() for _ in range(14)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses[:12]) == LONGEST_PAUSE
    assert pauses[12:] == [3000, POLL_SECONDS]
    assert receiver.seen == [1]


def test_an_event_that_is_always_refused_is_left_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Those behind it must not wait for ever; the log names it, and no secret."""
    receiver = Receiver(*[Posted(False, "it answered 400", is_final=True)] * REFUSALS)
    trying = sender(database, receiver)
    trying.round()
    Fleet(database).submit()
    Fleet(database).take()
    for _ in range(REFUSALS):
        trying.round()
    assert receiver.seen[0] == 2
    assert "never took event 1 of streets" in caplog.text
    assert SECRET not in caplog.text
    assert "hooks/1" not in caplog.text


def test_only_what_is_wanted(database: Database) -> None:
    """Kinds of events, and studies by their names; what is passed over does not come later."""
    receiver = Receiver()
    wanting = sender(database, receiver, events=["study.created"], studies=["camvid-*"])
    wanting.round()
    for name in ("camvid-1", "voc", "camvid-2"):
        Fleet(database).submit(spec(name))
    wanting.round()
    assert [each["study"]["name"] for each in receiver.got] == ["camvid-1", "camvid-2"]
    wanting.close()
    everything = sender(database, receiver, events=["study.created"])
    everything.round()
    assert len(receiver.got) == 2


def test_studies_without_news_hold_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are in which only happens what nobody wants to know, and how often."""
    monkeypatch.setattr("tuner.service.webhooks.STUDIES", 2)
    receiver = Receiver()
    wanting = sender(database, receiver, events=["study.created"])
    wanting.round()
    old = ["a", "b", "c"]
    for name in (*old, "d"):
        Fleet(database).submit(spec(name))
        for priority in (7, 8):
            for _ in range(3):
                for each in old:
                    if each <= name:
                        studies.change(database, each, StudyChange(priority=priority))
                wanting.round()
    assert [each["study"]["name"] for each in receiver.got] == [*old, "d"]


def test_a_deleted_study_says_so_under_its_name(database: Database) -> None:
    """Its row is called otherwise by then."""
    receiver = Receiver()
    telling = sender(database, receiver)
    telling.round()
    Fleet(database).submit()
    studies.delete(database, "streets")
    telling.round()
    assert receiver.got[-1]["data"] == {"deleted": True}
    assert receiver.got[-1]["study"]["name"] == "streets"


# ── Messages ─────────────────────────────────────────────────────────────────────────────────


def test_a_signature_is_checked_as_receivers_do() -> None:
    """As standardwebhooks.com says: HMAC-SHA256 of id, time and body with the decoded secret."""
    content = b'{"test": 2432232314}'
    given = messages.headers(hook(), "msg_1", content, now=1614265330.7)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = hmac.new(key, b"msg_1.1614265330." + content, hashlib.sha256).digest()
    assert given["webhook-id"] == "msg_1"
    assert given["webhook-timestamp"] == "1614265330"
    assert given["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


@pytest.mark.parametrize(
    ("kind", "trial", "data", "said"),
    [
        ("study.created", None, {"state": "queued"}, "Study a&lt;b was submitted"),
        ("study.finished", None, {"state": "failed", "reason": "x > y"},
         "Study a&lt;b is failed: x &gt; y"),
        ("study.warned", None, {"text": "no data"}, "Study a&lt;b warns: no data"),
        ("study.changed", None, {"priority": 3}, "Study a&lt;b changed: priority: 3"),
        ("study.changed", None, {"deleted": True}, "Study a&lt;b was deleted"),
        ("trial.ended", 7, {"state": "pruned", "step": 3, "value": 0.41234, "reason": "weak"},
         "Trial 7 of a&lt;b pruned at step 3 with 0.4123: weak"),
        ("trial.waiting", 7, {"state": "waiting"}, "Trial 7 of a&lt;b waits"),
    ],
)  # fmt: skip
def test_slack_gets_sentences(
    kind: str, trial: int | None, data: dict[str, Any], said: str
) -> None:
    """One text, in which nothing of a study's is markup."""
    event = Event(seq=1, kind=kind, trial=trial, data=data, created_at=datetime.now(UTC))
    unsent = Unsent(1, "a<b", 0, 1, (event,))
    content = messages.body(hook(format="slack"), unsent, event)
    assert json.loads(content) == {"text": said}
    assert messages.headers(hook(format="slack"), "1", content, now=0).keys() == {
        "Content-Type",
        "User-Agent",
    }


# ── Settings ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhooks: [{name: a, url: 'http://h/x', secret: hush, colour: red}]", "0.colour"),
        ("webhooks: [{name: a, url: 'http://h/hush'}]", "must have a secret"),
        ("webhooks: [{name: a, url: 'ftp://h/hush', secret: hush}]", "must be an address"),
        ("webhooks: [{name: a, url: \"http://h/\\r\\nX: hush\", secret: x}]", "must be an address"),
        ("webhooks: [{name: a, url: 'http://h', secret: hush, events: [x]}]", "study.created"),
        ("webhooks: [{name: a, url: 'http://h', secret_env: NOT_THERE}]", "NOT_THERE is not set"),
        ("webhooks: [{name: a b, url: 'http://h', secret: hush}]", "0.name"),
        ("webhooks: [{name: a, url: 'http://h/hush', format: slack}, "
         "{name: a, url: 'http://h', secret: x}]", "two webhooks are called 'a'"),
        ("webhooks: [{name: a, url: 'http://h', secret: 'whsec_hush!'}]", "must be base64"),
        ("webhooks: [{name: a, url: 'http://h', secret: whsec_}]", "must be base64"),
        ("hooks: [hush]", "under the one key 'webhooks'"),
        ("webhooks: [hush", "line 1: not valid YAML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_without_its_secrets(text: str, said: str, tmp_path: Path) -> None:
    """The place in it is named."""
    path = tmp_path / "webhooks.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        hooks.read(Settings(_env_file=None, home=tmp_path, webhooks=path))
    listed = " ".join(map(str, caught.value.problems))
    assert said in listed
    assert "SEGTUNE_WEBHOOKS" in listed
    assert "hush" not in listed


def test_one_webhook_needs_no_file(tmp_path: Path) -> None:
    """Slack's address is known as such; no secret is shown by anything."""
    url = "https://hooks.slack.com/services/T/B/hush"
    settings = Settings(_env_file=None, home=tmp_path, webhook_url=url)
    (found,) = hooks.read(settings)
    assert (found.format, found.host) == ("slack", "hooks.slack.com")
    assert "hush" not in f"{found!r} {settings!r}"


# ── Requests ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        *[(each, False) for each in (
            "169.254.169.254", "169.254.170.2", "::ffff:169.254.169.254", "fe80::1%eth0", "0.0.0.0",
            "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "::",
            "2002:a9fe:a9fe::1",
        )],
        *[(each, True) for each in ("127.0.0.1", "10.0.0.5", "93.184.216.34", "2606:4700::1")],
    ],
)  # fmt: skip
def test_metadata_addresses_are_not_asked(
    address: str, is_open: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the name is spelled that means one; unless it is allowed."""
    asked: list[str] = []
    found = [(0, 0, 0, "", ("93.184.216.34", 80)), (0, 0, 0, "", (address, 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)

    def request(_: str, addresses: list[str], *__: Any) -> Posted:
        asked.extend(addresses)
        return TAKEN

    monkeypatch.setattr(posting, "_request", request)
    answer = posting.post(hook(url="http://innocent.example/"), b"", {})
    assert answer.is_taken is is_open
    assert (address in asked) is is_open
    assert posting.post(hook(url="http://innocent.example/", allow_metadata=True), b"", {}).is_taken


class Site(HTTPServer):
    """A receiver on loopback, which answers with the status that its path says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: queue.Queue[tuple[str, Mapping[str, str], bytes]] = queue.Queue()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        site.got.put((self.path, dict(self.headers), content))
        self.send_response(int(self.path.partition("?")[0].rpartition("/")[2] or 200))
        self.send_header("Retry-After", "30")
        self.send_header("Location", f"{site.url}/elsewhere/200")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    """A receiver that listens."""
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "is_taken", "is_final"),
    [(200, True, False), (204, True, False), (302, False, False), (400, False, True),
     (410, False, True), (429, False, False), (500, False, False)],
)  # fmt: skip
def test_what_receivers_answer(site: Site, status: int, is_taken: bool, is_final: bool) -> None:
    """A redirect is not followed; what only the sender could change is final."""
    answer = posting.post(hook(url=f"{site.url}/hooks/{status}?a=b"), b"{}", {"webhook-id": "1"})
    assert (answer.is_taken, answer.is_final) == (is_taken, is_final)
    assert answer.wait == (0 if is_taken else 30)
    path, headers, content = site.got.get(timeout=10)
    assert (path, content, headers["webhook-id"]) == (f"/hooks/{status}?a=b", b"{}", "1")
    assert headers["Host"] == site.url.removeprefix("http://")
    assert site.got.empty()


def test_a_receiver_that_is_away(site: Site) -> None:
    """The reason says no address, which may be a secret."""
    site.server_close()
    answer = posting.post(hook(url=f"{site.url}/hush"), b"", {})
    assert not answer.is_taken
    assert not answer.is_final
    assert "hush" not in answer.reason


def test_a_server_tells_its_webhooks(settings: Settings, site: Site, tmp_path: Path) -> None:
    """From the file to the receiver, beside the requests."""
    path = tmp_path / "webhooks.yaml"
    path.write_text(f"webhooks: [{{name: ops, url: '{site.url}/', secret: hush}}]")
    with running(settings.model_copy(update={"webhooks": path})) as client:
        _wait_until_known(client)
        sent = client.post("/api/v1/studies", json=spec().dump())
        assert sent.status_code == 201
        _, headers, content = site.got.get(timeout=20)
    found = json.loads(content)
    assert (found["type"], found["study"]["name"]) == ("study.created", "streets")
    stamp, identity = headers["webhook-timestamp"], headers["webhook-id"]
    assert headers["webhook-signature"] == messages.signature("hush", identity, stamp, content)


def _wait_until_known(client: TestClient) -> None:
    """Let the sender's thread see the webhook, as it does within a second of its start."""
    from sqlalchemy import select

    from tuner.store.tables import Webhook

    db = client.app.state.opened.db  # type: ignore[attr-defined]  # an ASGI application in general
    pause = threading.Event()
    for _ in range(500):
        with db.reading() as session:
            if session.scalar(select(Webhook.sender)) is not None:
                return
        pause.wait(0.02)
