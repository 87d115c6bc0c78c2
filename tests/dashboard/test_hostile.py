"""Stored and reflected markup: whatever studies, workers and addresses say stays text."""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, running, study

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
LABEL = EVIL.partition("<img")[0]  # in which no "=" may be
LINK = "javascript:alert(1)"
_PLACES = ("href", "src", "action", "data-live", "data-src", "data-more", "formaction")


class Markup(HTMLParser):
    """What a browser would run, and where it could go."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.active = list[str]()
        self.links = list[str]()
        self._runs = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what runs: scripts that are not ours, handlers, addresses that are code."""
        given = {name: value or "" for name, value in attributes}
        self._runs = tag == "script"
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.active.append(str(given))
        if tag in {"iframe", "object", "embed", "base"} or given.get("src") == "x":
            self.active.append(f"{tag} {given}")
        for name, value in given.items():
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.active.append(f"{name}={value}")
            elif name in _PLACES:
                self.links.append(value)
                if urlsplit(value.strip()).scheme not in {"", "http", "https", "data"}:
                    self.active.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        """Note a script's own text."""
        if self._runs and data.strip():
            self.active.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Text after it is text."""
        self._runs = False


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server where every free text is hostile: of a study, its workers and its trials."""
    home = tmp_path_factory.mktemp("poisoned")
    with running(Settings(_env_file=None, home=home, upkeep_seconds=3600)) as client:
        client.headers["accept"] = "text/html"
        _poison(client)
        yield client


def _poison(client: TestClient) -> None:
    document = study(
        "evil",
        dataset={"format": "synthetic", "classes": [EVIL, LINK], "size": [64, 64]},
        objectives=[{"metric": f"iou.{EVIL}", "direction": "maximize"}],
        constraints=[{"metric": f"dice.{EVIL}", "max": 5}],
        resources={"labels": {LABEL: LABEL}},
    )
    document["space"]["model.weights"] = {"choice": ["none", EVIL, LINK]}
    made = client.post("/api/v1/studies", json=document)
    assert made.status_code == 201, made.text
    device = {"kind": "cpu", "name": EVIL}
    capabilities = {
        "hostname": EVIL, "device": device, "labels": {LABEL: LABEL}, "versions": {EVIL: LINK},
    }  # fmt: skip
    ask = {"worker": "w1", "capabilities": capabilities}
    ends = [
        {"kind": "completed", "step": 3, "provenance": {EVIL: EVIL, "code": LINK}},
        {"kind": "failed", "step": 3, "error": EVIL, "error_kind": "exception"},
        {"kind": "yielded", "step": 3, "error": EVIL, "error_kind": "unfit-machine"},
        None,
    ]
    for end in ends:
        answer = client.post("/api/v1/leases", json=ask)
        assert answer.status_code == 200, answer.text
        lease = answer.json()
        url, headers = f"/api/v1/leases/{lease['lease']}", lease_token(lease)
        metrics = {EVIL: 1.0, LINK: 2.0, "miou": 0.5, f"iou.{EVIL}": 0.5}
        reports = [
            {"step": step, "metrics": metrics, "confusion": [[5, 1], [1, 5]], "data": EVIL}
            for step in (1, 2, 3)
        ]
        answer = client.post(f"{url}/reports", json={"reports": reports}, headers=headers)
        assert answer.status_code == 200, answer.text
        answer = client.put(url, json={"log": f"{EVIL}\n{LINK}\n"}, headers=headers)
        assert answer.status_code == 200, answer.text
        if end is not None:
            answer = client.post(f"{url}/finish", json=end, headers=headers)
            assert answer.status_code == 204, answer.text
    client.post("/api/v1/leases", json={**ask, "worker": "w2", "unfit": EVIL})


def crawled(client: TestClient) -> Iterator[tuple[str, str, Markup]]:
    """Every page and partial that can be reached, once each, with its text and markup."""
    waiting, seen = ["/"], set[str]()
    while waiting:
        address = waiting.pop(0)
        parts = urlsplit(address)
        if parts.path in seen or parts.path.startswith(("/static/", "/api/")) or parts.netloc:
            continue
        seen.add(parts.path)
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.text)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        markup = Markup(answer.text)
        yield address, answer.text, markup
        waiting += [urljoin(address, link) for link in markup.links]


def test_stored_markup_stays_text(poisoned: TestClient) -> None:
    """On every page and partial that a browser can come to from the first one."""
    shown = 0
    for address, page, markup in crawled(poisoned):
        assert markup.active == [], address
        assert "<script>alert" not in page, address
        shown += "&lt;script&gt;alert(1)" in page
    assert shown > 10


ADDRESSES = [
    "/?search={}",
    "/studies/1?filter={}",
    "/studies/1?sort={}",
    "/studies/1?by={}",
    "/studies/1?columns={}",
    "/compare?trials=evil:0&trials={}&metric={}",
    "/studies/1/narrow?name={}&low={}&value={}",
    "/studies/1/images?sort={}&filter={}",
    "/studies/1/trials/0?metric={}",
    "/login?next={}",
    "/login?next=/{}",
    "/new?clone={}",
    "/studies/{}",
    "/nothing/{}",
    "/partials/studies/1/charts/{}",
]


@pytest.mark.parametrize(
    ("address", "text"),
    [*((address, EVIL) for address in ADDRESSES), ("/login?next={}", LINK), ("/?search={}", LINK)],
)
def test_reflected_markup_stays_text(poisoned: TestClient, address: str, text: str) -> None:
    """What an address says is shown as text, and no link leads out by it."""
    answer = poisoned.get(address.replace("{}", quote(text, safe="")))

    assert answer.status_code < 500, answer.text
    assert Markup(answer.text).active == []
    assert "<script>alert" not in answer.text
