"""The Python client against scripted answers: what it asks, and what it makes of the answers."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tuner.client import Client, StudyInput
from tuner.errors import (
    Conflict,
    DigestMismatch,
    InvalidInput,
    InvalidSpec,
    LeaseLost,
    NotFound,
    SegtuneError,
    ServerBusy,
    ServerError,
    ServerUnreachable,
    Unauthorized,
)
from tuner.spec.states import StudyState
from tuner.spec.study import StudySpec

NOW = datetime(2026, 11, 20, tzinfo=UTC).isoformat()
SPEC: dict[str, Any] = {
    "name": "streets",
    "dataset": {"format": "synthetic", "classes": ["road", "sky"], "size": [32, 32]},
}
Answer = Callable[[httpx.Request], httpx.Response]


def view(state: str = "running") -> dict[str, Any]:
    """A study as the server shows it."""
    return {
        "id": 1,
        "name": "streets",
        "state": state,
        "priority": 50,
        "objective": {"metric": "miou"},
        "budget": 60,
        "counts": {},
        "epochs": 0,
        "created_at": NOW,
        "spec": SPEC,
    }


def trial(number: int) -> dict[str, Any]:
    """A trial as a list shows it."""
    return {"number": number, "state": "completed", "params": {}, "epochs": 3, "created_at": NOW}


def event(seq: int, kind: str = "trial.reported") -> str:
    """One message of the event stream."""
    content = {"seq": seq, "kind": kind, "created_at": NOW}
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(content)}\n\n"


class Server:
    """Answers in order, the last one for ever; remembers the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def client(self) -> Client:
        """A client of this server."""
        return Client("http://server:8000", "secret", transport=httpx.MockTransport(self))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body: object, status: int = 200) -> httpx.Response:
    """A JSON answer."""
    return httpx.Response(status, json=body)


def no_wait(seconds: float) -> None:
    """Wait for nothing."""


def test_trials_are_asked_for_by_filter_and_metrics() -> None:
    """Both go with each page's request; what is not asked for is not sent."""
    server = Server(ok({"items": []}))
    client, metrics = server.client(), ["miou", "recall.car"]
    assert list(client.trials("streets", filter="miou > .6", metrics=metrics)) == []
    assert list(client.trials("streets")) == []
    first, second = (parse_qs(request.url.query.decode()) for request in server.requests)
    assert (first["filter"], first["metrics"]) == (["miou > .6"], metrics)
    assert {"filter", "metrics"} & second.keys() == set()


@pytest.mark.parametrize("form", ["spec", "mapping", "yaml", "json"])
def test_a_study_is_submitted_in_every_form(tmp_path: Path, form: str) -> None:
    """A StudySpec, a mapping, a YAML and a JSON file are the same study."""
    server = Server(ok(view(), 201))
    path = tmp_path / f"study.{form}"
    path.write_text(json.dumps(SPEC))
    forms: dict[str, StudyInput] = {"spec": StudySpec.model_validate(SPEC), "mapping": SPEC}
    study = forms.get(form, path)
    assert server.client().submit(study).name == "streets"
    (request,) = server.requests
    assert json.loads(request.content)["dataset"]["classes"] == ["road", "sky"]
    assert request.headers["Content-Type"] == f"application/{'yaml' if form == 'yaml' else 'json'}"
    assert request.headers["Idempotency-Key"]


def test_a_missing_study_file_is_named(tmp_path: Path) -> None:
    """The message gives the path, before anything is sent."""
    server = Server(ok(view()))
    with pytest.raises(InvalidInput, match="nothing-here"):
        server.client().submit(tmp_path / "nothing-here.yaml")
    assert server.requests == []


def test_a_plan_is_a_dry_run() -> None:
    """Nothing is created by asking what would be."""
    plan = {
        "spec": SPEC,
        "sampler": "tpe",
        "pruner": "asha",
        "trials": 60,
        "rungs": [3],
        "epochs": 20,
        "worst_case_epochs": 1200,
        "examples": [],
    }
    server = Server(ok(plan))
    assert server.client().plan(SPEC).rungs == (3,)
    assert server.requests[0].url.params["dry_run"] == "true"


def test_the_token_is_sent_and_never_shown() -> None:
    """It goes in the Authorization header, and not into a notebook's output."""
    server = Server(ok(view()))
    client = server.client()
    client.study("streets")
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert repr(client) == "Client('http://server:8000')"


def test_server_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook needs no address in its cells."""
    monkeypatch.setenv("SEGTUNE_SERVER", "http://elsewhere:9/")
    monkeypatch.setenv("SEGTUNE_TOKEN", "hidden")
    server = Server(ok(view()))
    Client(transport=httpx.MockTransport(server)).study(1)
    (request,) = server.requests
    assert str(request.url) == "http://elsewhere:9/api/v1/studies/1"
    assert request.headers["Authorization"] == "Bearer hidden"


def test_a_name_cannot_become_a_path() -> None:
    """A slash in a name stays in the name."""
    server = Server(ok(view()))
    server.client().study("a/../b")
    assert server.requests[0].url.raw_path == b"/api/v1/studies/a%2F..%2Fb"


def test_an_explanation_may_take_its_time() -> None:
    """The server computes it when it is asked, which takes longer than a page of trials."""
    body = {
        "study": "streets",
        "objectives": [{"metric": "iou.car"}],
        **dict.fromkeys(("epoch", "trials", "ended", "resamples", "pairs"), 0),
        **{name: [] for name in ("importance", "interactions", "failures")},
    }
    server = Server(ok(body))
    found = server.client().explanation("streets", objective="iou.car")
    assert (found.study, found.best) == ("streets", None)
    (request,) = server.requests
    assert request.url.path == "/api/v1/studies/streets/explanation"
    assert dict(request.url.params) == {"objective": "iou.car"}
    assert request.extensions["timeout"]["read"] == 120


def test_trials_are_walked_page_by_page() -> None:
    """The cursor of each page asks for the next one."""
    server = Server(
        ok({"items": [trial(0), trial(1)], "next": "c1"}), ok({"items": [trial(2)], "next": None})
    )
    trials = list(server.client().trials("streets", sort="value", descending=True))
    assert [one.number for one in trials] == [0, 1, 2]
    assert [request.url.params.get("cursor") for request in server.requests] == [None, "c1"]
    assert {request.url.params["descending"] for request in server.requests} == {"true"}


@pytest.mark.parametrize(
    ("method", "state"), [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")]
)
def test_a_study_changes_state(method: str, state: str) -> None:
    """Each verb sends the state it leads to, and nothing else."""
    server = Server(ok(view(state)))
    getattr(server.client(), method)("streets")
    (request,) = server.requests
    assert (request.method, json.loads(request.content)) == ("PATCH", {"state": state})


def test_a_limit_is_taken_away_by_none() -> None:
    """What is named is sent, None too; what is not named stays as it is."""
    server = Server(ok(view("running")))
    server.client().change("streets", max_hours=None, trials=9)
    (request,) = server.requests
    assert json.loads(request.content) == {"max_hours": None, "trials": 9}


def test_a_list_is_asked_for_as_it_is_to_be() -> None:
    """Search, order and what was deleted are parameters of the request; defaults are not sent."""
    server = Server(ok({"items": [], "next": None}), ok({"items": [], "next": None}))
    list(server.client().studies(search="road", sort="gain", descending=False, deleted=True))
    list(server.client().studies())
    first, second = (dict(request.url.params) for request in server.requests)
    assert first == {"search": "road", "sort": "gain", "descending": "false", "deleted": "true"}
    assert second == {}


def test_waiting_ends_with_the_study() -> None:
    """`wait` asks until the study has ended."""
    server = Server(ok(view("queued")), ok(view("running")), ok(view("finished")))
    done = server.client().wait("streets", sleep=no_wait)
    assert done.state is StudyState.FINISHED
    assert len(server.requests) == 3


def test_waiting_has_a_limit() -> None:
    """A study that does not end in time is an error that says where it stands."""
    server = Server(ok(view("running")))
    with pytest.raises(TimeoutError, match="still running"):
        server.client().wait("streets", timeout=0, sleep=no_wait)


def test_events_go_on_after_a_lost_connection() -> None:
    """The stream is taken up after the last event seen, without gap or double."""
    server = Server(
        httpx.Response(200, text=": hello\n\n" + event(1) + event(2)),
        httpx.ConnectError("gone"),
        httpx.Response(200, text=event(2) + event(3, "study.finished")),
    )
    seen = []
    for each in server.client().events("streets", sleep=no_wait):
        seen.append(each.seq)
        if each.kind == "study.finished":
            break
    assert seen == [1, 2, 3]
    assert [request.headers["Last-Event-ID"] for request in server.requests] == ["0", "2", "2"]


def test_a_download_appears_when_it_is_whole(tmp_path: Path) -> None:
    """The bytes are those whose digest the server announced."""
    etag = f'"{hashlib.sha256(b"weights").hexdigest()}"'
    server = Server(httpx.Response(200, content=b"weights", headers={"ETag": etag}))
    path = server.client().download(3, tmp_path / "new" / "model.pt")
    assert path.read_bytes() == b"weights"
    assert [file.name for file in path.parent.iterdir()] == ["model.pt"]


def test_a_damaged_download_leaves_nothing(tmp_path: Path) -> None:
    """Other bytes than those announced are an error, and the old file stays."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    server = Server(httpx.Response(200, content=b"broken", headers={"ETag": f'"{"0" * 64}"'}))
    with pytest.raises(DigestMismatch):
        server.client().download(3, path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"detail": "no token"}, Unauthorized),
        (404, {"detail": "no study"}, NotFound),
        (409, {"detail": "exists"}, Conflict),
        (409, {"type": "urn:segtune:lease-lost", "detail": "stale"}, LeaseLost),
        (413, {"title": "too large"}, ServerError),
        (429, {"detail": "too often"}, ServerBusy),
        (500, {"detail": "id 7"}, ServerError),
        (200, {"no": "study"}, ServerError),
    ],
)
def test_answers_become_errors(status: int, body: object, error: type[SegtuneError]) -> None:
    """Each problem body is the error of our tree that it stands for."""
    with pytest.raises(error) as caught:
        Server(ok(body, status)).client().study("streets")
    assert type(caught.value) is error


def test_a_busy_server_says_when_to_ask_again() -> None:
    """The seconds of `Retry-After` are the error's."""
    answer = httpx.Response(429, json={"detail": "too often"}, headers={"Retry-After": "7"})
    with pytest.raises(ServerBusy, match="too often") as caught:
        Server(answer).client().study("streets")
    assert caught.value.seconds == 7


def test_problems_keep_their_places() -> None:
    """A refused study says where each mistake stands."""
    problems = [{"location": ["space", "optimizer.lr"], "message": "low is above high"}]
    server = Server(ok({"detail": "1 problem", "problems": problems}, 422))
    with pytest.raises(InvalidSpec) as caught:
        server.client().submit(SPEC)
    assert str(caught.value) == "space.optimizer.lr: low is above high"


def test_a_page_of_a_proxy_is_an_error() -> None:
    """An answer that is no JSON is told with its text."""
    with pytest.raises(ServerError, match="Bad Gateway"):
        Server(httpx.Response(502, text="<h1>Bad Gateway</h1>")).client().study("streets")


def test_no_answer_says_what_to_do() -> None:
    """The message names the server and asks whether it runs."""
    server = Server(httpx.ConnectError("connection refused"))
    with pytest.raises(ServerUnreachable, match=r"http://server:8000 .* running there\?"):
        server.client().study("streets")


@pytest.mark.parametrize("address", ["here", "localhost:8000", "http://h:port", "http://a b"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """A client says at once that it cannot ask there."""
    with pytest.raises(InvalidInput, match="write it like http"):
        Client(address)
