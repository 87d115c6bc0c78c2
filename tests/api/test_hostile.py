"""What hostile callers send: refused with a problem, never a server error, on each database."""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.app import PREFIX, RESOURCES
from api.bodies import Body, by_route
from api.dashboard import routes as pages
from api.dashboard.forms import LIMIT, TEXT_LIMIT, form_fields, form_lists
from api.errors import ProblemBody
from api.settings import Settings
from tests.api.samples import YAML, lease_token, running, study, train
from tuner.spec.documents import MAX_BYTES

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _routes() -> Iterator[tuple[str, str, APIRoute]]:
    """Path, method and route of all but streams, which have no end."""
    own = [(PREFIX, route) for resource in RESOURCES for route in resource.router.routes]
    for prefix, route in [*own, *(("", page) for page in pages.routes())]:
        assert isinstance(route, APIRoute)
        if not route.path.endswith(("/events", "/changes")):
            yield prefix + route.path, next(iter(route.methods or ())), route


ROUTES = list(_routes())
BODIES: dict[str, tuple[str, Body[Any]]] = {
    path: (method, taken[route.name])
    for path, method, route in ROUTES
    if (taken := by_route([route]))
}


@dataclass(frozen=True)
class Target:
    """A server, and what there is to ask it about."""

    client: TestClient
    known: dict[str, str]
    headers: dict[str, str]

    def path(self, template: str, **values: str) -> str:
        """A path of a route, with what exists in the place of all else."""
        return template.replace(":path", "").format(**{**self.known, **values})

    def send(self, template: str, content: Any, kind: str = "json", **more: str) -> Any:
        """A body to a route that takes one."""
        method, _ = BODIES[template]
        headers = {**self.headers, "Content-Type": f"application/{kind}", **more}
        return self.client.request(method, self.path(template), content=content, headers=headers)


@pytest.fixture(scope="module")
def target(lasting_settings: Settings) -> Iterator[Target]:
    """A server with studies, results and a running trial, on each database."""
    with running(lasting_settings) as client:
        yield Target(client, *_prepared(client))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The same for what never comes as far as a database."""
    home = tmp_path_factory.mktemp("plain")
    with running(Settings(_env_file=None, home=home, upkeep_seconds=3600)) as client:
        yield Target(client, *_prepared(client))


def _prepared(client: TestClient) -> tuple[dict[str, str], dict[str, str]]:
    made = client.post("/api/v1/tokens", json={"name": "ada", "scopes": ["admin"]}).json()
    client.headers["Authorization"] = f"Bearer {made['secret']}"
    for name in ("a", "b"):
        client.post("/api/v1/studies", json=study(name))
    for _ in range(2):
        train(client)
    lease = client.post("/api/v1/leases", json={"worker": "w1", "study": "a"}).json()
    known = {
        "study": "a", "number": "0", "lease": lease["lease"], "artifact": "1", "token": "bob",
        "owner": "bob", "worker": "w1", "action": "drain", "version": "1", "name": "x",
    }  # fmt: skip
    return known, lease_token(lease)


def refused(answer: Any, *statuses: int) -> ProblemBody:
    """Check that an answer is a refusal in the house's form."""
    assert answer.headers.get("content-type") == "application/problem+json", answer.text
    body = ProblemBody.model_validate_json(answer.content)
    assert 400 <= answer.status_code < 500, answer.text
    assert not statuses or answer.status_code in statuses, answer.text
    assert body.status == answer.status_code
    return body


# ── Paths ────────────────────────────────────────────────────────────────────────────────────

ESCAPES = [
    "%2e%2e",
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "..%5C%C0%AE%C0%AE%2Fx",
    "a%00.png",
    "a%0D%0ASet-Cookie:%20a=b",
    "9" * 5000,
]


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda text: text[:30])
def test_no_path_leads_elsewhere(plain: Target, escape: str) -> None:
    """In no parameter of any route, names of artifacts and static files among them."""
    for template, method, route in ROUTES:
        for name in route.param_convertors:
            path = plain.path(template, **{name: escape})
            answer = plain.client.request(
                method, path, headers=plain.headers, json={}, follow_redirects=False
            )
            if method == "HEAD":  # whose answers have no body
                assert 400 <= answer.status_code < 500
            else:
                refused(answer)
            assert "set-cookie" not in answer.headers


# ── Texts and numbers ────────────────────────────────────────────────────────────────────────


def leaves(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts and numbers of a document."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*here, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*here, index))
    else:
        yield here


def put(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """The document with another value at a place."""
    if not place:
        return other
    if isinstance(value, dict):
        return {k: put(v, place[1:], other) if k == place[0] else v for k, v in value.items()}
    return [put(v, place[1:], other) if i == place[0] else v for i, v in enumerate(value)]


@pytest.mark.parametrize("path", sorted(BODIES))
def test_no_text_holds_a_nul(target: Target, path: str) -> None:
    """Neither a value nor a key, at any place of any body; logs lose it instead."""
    _, body = BODIES[path]
    example = json.loads(json.dumps(body.example))
    for place in leaves(example):
        for value in ("a\0b", {"a\0b": 1}):
            answer = target.send(path, json.dumps(put(example, place, value)))
            if not body.scrub or answer.status_code >= 400:
                refused(answer, 400, 409, 422)


STRANGE: tuple[Any, ...] = (
    10**400,
    "\ud800",
    -1e308,
    {"\ud800": 1},
    [[]],
    2**63,
    None,
    "'; DROP TABLE a; --",
)


@pytest.mark.parametrize("path", sorted(BODIES))
def test_no_value_is_too_strange(plain: Target, path: str) -> None:
    """Numbers beyond every type and things in the place of others are refused or taken."""
    example = json.loads(json.dumps(BODIES[path][1].example))
    for index, place in enumerate(leaves(example)):
        for value in (STRANGE[index % len(STRANGE)], STRANGE[(index + 3) % len(STRANGE)]):
            answer = plain.send(path, json.dumps(put(example, place, value)))
            assert answer.status_code < 500, (place, value, answer.text)
    assert plain.client.get("/api/v1/studies/a").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["/api/v1/studies?search=a%00", "/api/v1/studies/a/curves?metric=a%00", "/?cursor=%00",
     "/studies/a?filter=%00", "/studies/a?sort=%00", "/compare?trials=a:0&metric=%00"],
)  # fmt: skip
def test_no_query_holds_a_nul(target: Target, address: str) -> None:
    """Of interface and dashboard: it is refused for all of them at one place."""
    assert "NUL" in refused(target.client.get(address), 422).detail


def queries(needed: Any) -> Iterator[tuple[Any, str, bool]]:
    """The query parameters of a route: what takes it, its name, and whether it is a number."""
    for field in needed.query_params:
        yield needed.call, field.alias, "int" in str(field.field_info.annotation)
    for each in needed.dependencies:
        yield from queries(each)


def test_no_query_is_too_strange(target: Target) -> None:
    """Of no page and no list: numbers without end, quotes, and bytes that are not UTF-8."""
    asked = set[tuple[Any, str]]()
    for template, method, route in ROUTES:
        for taker, name, is_number in queries(route.dependant) if method == "GET" else ():
            if (taker, name) in asked:  # pages share what reads their addresses
                continue
            asked.add((taker, name))
            value = "9" * 5000 if is_number else "a%22'%3C%ED%A0%80%E2%80%AE"
            answer = target.client.get(f"{target.path(template)}?{name}={value}")
            assert answer.status_code < 500, (template, name, answer.text)
    assert len(asked) > 80


LISTS = ["studies", "studies?sort=name", "studies?sort=best", "studies/a/trials",
         "studies/a/trials?sort=value", "studies/a/trials?sort=optimizer.lr",
         "studies/a/examples"]  # fmt: skip


ODD: tuple[Any, ...] = ("a\0", "\ud800", 2**80, 10**400, 1e308, True, None, [], {}, "9999-12-31")


@pytest.mark.parametrize("path", LISTS)
def test_no_cursor_is_too_strange(target: Target, path: str) -> None:
    """A cursor comes back from anywhere: each part is checked before a database sees it."""
    url = f"/api/v1/{path}{'&' if '?' in path else '?'}limit=1"
    cursor = target.client.get(url).json()["next"]
    parts = json.loads(base64.urlsafe_b64decode(cursor + "==="))
    for index in range(len(parts)):
        for value in ODD:
            text = json.dumps([*parts[:index], value, *parts[index + 1 :]])
            other = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
            answer = target.client.get(f"{url}&cursor={other}")
            assert answer.status_code < 500, (parts, index, value, answer.text)


def _takes_fields(needed: Any) -> bool:
    calls = {form_fields, form_lists}
    return needed.call in calls or any(map(_takes_fields, needed.dependencies))


@pytest.mark.parametrize("path", [p for p, _, route in ROUTES if _takes_fields(route.dependant)])
@pytest.mark.parametrize("field", ["next", "trials", "a\0b"])
def test_no_field_of_a_form_holds_a_nul(plain: Target, path: str, field: str) -> None:
    """Neither in its name nor in its text."""
    content = urlencode({field: "a\0b"})
    refused(plain.client.post(plain.path(path), content=content, headers=FORM), 400)


# ── Documents ────────────────────────────────────────────────────────────────────────────────

_FLOOR = 10_000
DEEP = {
    "json": [b"[" * _FLOOR + b"]" * _FLOOR, b'{"a":' * _FLOOR + b"1" + b"}" * _FLOOR],
    "yaml": [
        b"[" * _FLOOR,
        b"{a: " * _FLOOR,
        b"- " * _FLOOR + b"a",
        b"? " * _FLOOR,
        b"\n".join(b" " * level + b"a:" for level in range(480)),
    ],
}


def _bomb(levels: int = 12) -> bytes:
    """A document of a few hundred bytes that would grow to ten to the power of its levels."""
    lines = ["name: a", "x0: &x0 [lol]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


MERGES = b"x0: &x0 {k: 1}\n" + b"\n".join(
    f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 10)}]}}".encode() for n in range(1, 12)
)


@pytest.mark.parametrize("path", sorted(BODIES))
def test_nothing_is_nested_without_end(plain: Target, path: str) -> None:
    """Ten thousand levels are refused in every body, in both languages."""
    _, body = BODIES[path]
    for media in body.media_types:
        kind = media.removeprefix("application/")
        for content in DEEP[kind]:
            refused(plain.send(path, content, kind), 400)


@pytest.mark.parametrize("bomb", [_bomb(), MERGES, b"&a [*a]"], ids=["lists", "merges", "itself"])
def test_aliases_do_not_grow(plain: Target, bomb: bytes) -> None:
    """Where a study is submitted, where it is checked, and where it comes in a form."""
    answer = plain.client.post("/api/v1/studies", content=bomb, headers=YAML)
    assert "aliases" in refused(answer, 400).detail or "nested" in answer.text
    assert plain.client.post("/partials/check", content=bomb).status_code == 200
    form = urlencode({"text": bomb.decode()})
    assert plain.client.post("/new", content=form, headers=FORM).status_code == 422


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", sorted(BODIES))
def test_no_body_is_unpacked(plain: Target, path: str) -> None:
    """A kilobyte that becomes a megabyte is not even read; what is wrong is said."""
    packed = gzip.compress(b"[" + b" " * 2**20 + b"]")
    for encoding in ("gzip", "deflate", "br", "gzip, gzip"):
        answer = plain.send(path, packed, **{"Content-Encoding": encoding})
        assert encoding in refused(answer, 415).detail
    assert plain.send(path, b"{", **{"Content-Encoding": "identity"}).status_code == 400


def test_an_upload_is_kept_as_it_came(plain: Target) -> None:
    """A packed file is a file like any other: its digest is that of what was sent."""
    packed = gzip.compress(b"x" * 2**20)
    headers = {
        **plain.headers,
        "Content-Encoding": "gzip",
        "Content-SHA256": sha256(packed).hexdigest(),
    }
    path = plain.path(f"{PREFIX}/leases/{{lease}}/artifacts/log?kind=log")
    answer = plain.client.put(path, content=packed, headers=headers)

    assert (answer.status_code, answer.json()["size"]) == (201, len(packed))


@pytest.mark.parametrize("path", sorted(BODIES))
@pytest.mark.parametrize("announced", [True, False])
def test_every_body_has_a_limit(plain: Target, path: str, *, announced: bool) -> None:
    """Whether its length is announced or not; what is announced is not waited for."""
    _, body = BODIES[path]
    for media in body.media_types:
        kind = media.removeprefix("application/")
        limit = body.limit
        if path.endswith("/studies"):
            limit = MAX_BYTES["yaml" if kind == "yaml" else "json"]
        if announced:
            answer = plain.send(path, b"{", kind, **{"Content-Length": str(limit + 1)})
        else:
            answer = plain.send(path, _chunks(limit + 1), kind)
        assert str(limit) in refused(answer, 413).detail


@pytest.mark.parametrize("length", ["9" * 30, "9" * 6000])
def test_no_length_is_too_large_to_be_read(plain: Target, length: str) -> None:
    """Of a document, a form and a file."""
    headers = {**plain.headers, "Content-Length": length, "Content-SHA256": "0" * 64}
    upload = plain.path(f"{PREFIX}/leases/{{lease}}/artifacts/log?kind=log")
    refused(plain.client.put(upload, content=b"x", headers=headers), 413)
    refused(plain.send(f"{PREFIX}/studies", b"x", **{"Content-Length": length}), 413)
    refused(plain.client.post("/login", content=b"x", headers={**FORM, **headers}), 413)


@pytest.mark.parametrize(("path", "limit"), [("/login", LIMIT), ("/new", TEXT_LIMIT)])
def test_every_form_has_a_limit(plain: Target, path: str, limit: int) -> None:
    """That of its fields, or of a whole study."""
    refused(plain.client.post(path, content=_chunks(limit + 1), headers=FORM), 413)


def _chunks(size: int) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    for start in range(0, size, 2**20):
        yield b" " * min(2**20, size - start)
