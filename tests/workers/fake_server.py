"""A scripted server of the lease protocol on loopback: remembers all that it is told."""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tuner.spec.config import DatasetConfig, TrialConfig
from tuner.spec.deployment import Measured
from tuner.spec.messages import (
    Action,
    ArtifactRef,
    Assignment,
    LeaseStatus,
    Outcome,
    ReportBatch,
    Verdict,
)

CONFIG = TrialConfig(
    dataset=DatasetConfig(format="synthetic", classes=("road", "sky"), size=(32, 32))
)


def assignment(lease: str = "lease-1", **changes: Any) -> Assignment:
    """An assignment as a server would give it."""
    content: dict[str, Any] = {
        "lease": lease,
        "token": f"token-of-{lease}",
        "study": "streets",
        "study_id": 1,
        "trial": 7,
        "attempt": 1,
        "config": CONFIG,
        "expires_at": datetime.now(UTC) + timedelta(minutes=1),
        "lease_seconds": 60,
    }
    return Assignment(**{**content, **changes})


@dataclass
class Upload:
    """One artifact that came."""

    lease: str
    kind: str
    step: int | None
    content: bytes
    name: str = ""
    details: str | None = None


@dataclass
class FakeServer:
    """What the server would answer, and what it was told."""

    waiting: list[Assignment] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    heartbeat: Verdict = field(default_factory=Verdict)
    stale: set[str] = field(default_factory=set)
    away: bool = False
    statuses: dict[str, int] = field(default_factory=dict)  # last part of a path → status
    refusal: bytes = b'{"detail": "scripted"}'  # the body of such an answer
    retry_after: str = ""  # of such an answer
    files: dict[int, bytes] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    finished: list[tuple[str, Outcome]] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    workers: list[dict[str, Any]] = field(default_factory=list)
    vitals: list[dict[str, Any]] = field(default_factory=list)  # bodies of heartbeats
    logs: list[str] = field(default_factory=list)  # of ends
    drained: bool = False
    is_older: bool = False  # of the release before: it knows neither vitals nor logs
    refuses_vitals: bool = False
    address: str = ""
    on_request: Callable[["FakeServer", str], None] | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something that the server was told makes the condition true."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), self.requests

    def set(self, **changes: Any) -> None:
        """Change how the server answers from now on."""
        with self.changed:
            for name, value in changes.items():
                setattr(self, name, value)

    def answer(
        self, method: str, target: str, body: bytes, token: str, details: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body for one request."""
        parts = urlsplit(target)
        words = parts.path.removeprefix("/api/v1/").split("/")
        with self.changed:
            name = f"{method} {'/'.join(words)}"
            self.requests.append(name)
            if self.on_request:
                self.on_request(self, name)
            self.changed.notify_all()
            if self.away:
                return 503, b"the house is on fire"
            if words[-1] in self.statuses:
                return self.statuses[words[-1]], self.refusal
            if method == "GET":
                return 200, self.files[int(words[1])]
            if words == ["leases"]:
                return self._lease(json.loads(body))
            if words[1] in self.stale or token != f"token-of-{words[1]}":
                return 409, b'{"type": "urn:segtune:lease-lost", "detail": "no longer yours"}'
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            return self._told(words, body, query, details)

    def _lease(self, request: dict[str, Any]) -> tuple[int, bytes]:
        self.workers.append(request)
        if not self.waiting or request.get("unfit"):
            return 204, b""
        return 200, self.waiting.pop(0).model_dump_json().encode()

    def _told(
        self, words: list[str], body: bytes, query: dict[str, str], details: str | None
    ) -> tuple[int, bytes]:
        match words[2:]:
            case []:
                return self._beat(body)
            case ["reports"]:
                batch = ReportBatch.model_validate_json(body)
                new = [r.step for r in batch.reports if r.step not in self.steps]
                self.steps += new
                return self._status(self.verdicts.get(batch.reports[-1].step, Verdict()))
            case ["measurements"]:
                self.measured.append(Measured.model_validate_json(body))
                return self._status(self.verdicts.get(0, Verdict()))
            case ["artifacts", name]:
                step = int(query["step"]) if "step" in query else None
                self.uploads.append(Upload(words[1], query["kind"], step, body, name, details))
                ref = ArtifactRef(
                    id=1, name=name, kind=query["kind"], size=len(body), sha256=_sha(body)
                )
                return 201, ref.model_dump_json().encode()
            case ["finish"]:
                return self._end(words[1], json.loads(body))
        return 404, b"{}"

    def _beat(self, body: bytes) -> tuple[int, bytes]:
        if body and not self.is_older:
            self.vitals.append(json.loads(body))
        refused = bool(body) and self.refuses_vitals
        return (413, b"too much") if refused else self._status(self.heartbeat)

    def _end(self, lease: str, body: dict[str, Any]) -> tuple[int, bytes]:
        if self.is_older and "log" in body:
            problem = {"location": ["log"], "message": "extra inputs are not permitted"}
            return 422, json.dumps({"detail": "not valid", "problems": [problem]}).encode()
        self.logs += [body.pop("log")] if "log" in body else []
        self.finished.append((lease, Outcome.model_validate(body)))
        return 204, b""

    def _status(self, verdict: Verdict) -> tuple[int, bytes]:
        status = LeaseStatus(verdict=verdict, expires_at=datetime.now(UTC))
        return 200, status.model_dump_json().encode()


def order(action: str) -> Verdict:
    """A verdict with a reason."""
    return Verdict(action=Action(action), reason="the script says so")


class Loopback(ThreadingHTTPServer):
    """Answers on a free port of loopback for a FakeServer."""

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Loopback

    def _any(self) -> None:
        fake, body = self.server.fake, self._body()
        token = self.headers.get("Lease-Token", "")
        announced = self.headers.get("Content-SHA256")
        details = self.headers.get("Artifact-Details")
        status, content = fake.answer(self.command, self.path, body, token, details)
        if announced and announced != _sha(body):
            status, content = 422, b'{"type": "urn:segtune:digest-mismatch", "detail": "!"}'
        self.send_response(status)
        if fake.drained and status == 204 and self.path.endswith("/leases"):
            self.send_header("Segtune-Drained", "true")
        if fake.retry_after and status in fake.statuses.values():
            self.send_header("Retry-After", fake.retry_after)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        with fake.changed:
            fake.changed.notify_all()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    do_GET = do_POST = do_PUT = _any  # noqa: N815  # the names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(fake: FakeServer) -> Loopback:
    """Start answering."""
    http = Loopback(fake)
    fake.address = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=lambda: http.serve_forever(0.02), daemon=True).start()
    return http


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
