"""Sheets of validation images over HTTP: what is taken, and how it is shown."""

import hashlib
import json
import struct
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.samples import lease_token, report, study

IMAGE: dict[str, Any] = {"index": 3, "name": "a.png", "size": [40, 60], "box": [0, 0, 60, 40]}
HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII5B", 13, b"IHDR", 120, 40, 8, 3, 0, 0, 0)
PIXELS = HEAD + b"crc, and what a page decodes"
DETAILS: dict[str, Any] = {"width": 120, "height": 40, "images": [IMAGE]}


def _take(client: TestClient) -> dict[str, str]:
    client.post("/api/v1/studies", json=study())
    lease: dict[str, str] = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    return lease


def _put(
    client: TestClient,
    lease: dict[str, str],
    details: Any = DETAILS,
    *,
    kind: str = "predictions",
    query: str = "&step=1",
    content: bytes = PIXELS,
) -> Any:
    known = {**lease_token(lease), "Content-SHA256": hashlib.sha256(content).hexdigest()}
    headers = {name.encode(): value.encode() for name, value in known.items()}
    if details is not None:
        text = details if isinstance(details, str) else json.dumps(details)
        headers[b"Artifact-Details"] = text.encode("latin-1")
    url = f"/api/v1/leases/{lease['lease']}/artifacts/{kind}.png?kind={kind}{query}"
    return client.put(url, content=content, headers=headers)


@pytest.mark.parametrize("kind", ["photos", "truth", "predictions"])
def test_a_sheet_is_shown(any_client: TestClient, kind: str) -> None:
    """A browser draws it, and takes it for nothing else."""
    up = _put(any_client, _take(any_client), kind=kind)
    down = any_client.get(f"/api/v1/artifacts/{up.json()['id']}")
    assert up.status_code == 201
    assert down.content == PIXELS
    assert down.headers["content-type"] == "image/png"
    assert down.headers["content-disposition"].startswith("inline")
    assert down.headers["x-content-type-options"] == "nosniff"


def test_the_same_step_again_replaces(any_client: TestClient) -> None:
    """A resumed attempt hands in its steps again."""
    lease = _take(any_client)
    ids = [_put(any_client, lease).json()["id"] for _ in range(2)]
    statuses = [any_client.get(f"/api/v1/artifacts/{number}").status_code for number in ids]
    assert statuses == [404, 200]


def _with(**changes: Any) -> dict[str, Any]:
    return {**DETAILS, "images": [{**IMAGE, **changes}]}


HOSTILE = [
    None,
    "",
    "null",
    "[]",
    "{",
    "\xff\xfe",
    '{"width": NaN}',
    "[" * 5000,
    {**DETAILS, "images": []},
    {**DETAILS, "images": [IMAGE, IMAGE]},
    {**DETAILS, "images": [IMAGE, {**IMAGE, "index": 4}]},
    {**DETAILS, "images": [{**IMAGE, "index": n, "box": [n, 0, 1, 1]} for n in range(33)]},
    {**DETAILS, "width": 10**9},
    {**DETAILS, "width": 59},
    {**DETAILS, "width": 16_384, "height": 513},
    {**DETAILS, "more": 1},
    _with(box=[61, 0, 60, 40]),
    _with(box=[-1, 0, 60, 40]),
    _with(box=[0, 0, 0, 40]),
    _with(box=[0, 0, 60]),
    _with(box=[0, 0, 60.5, 40]),
    _with(miou=1.5),
    _with(miou="Infinity"),
    _with(index=-1),
    _with(index=2**31),
    _with(size=[0, 1]),
    _with(name=""),
    _with(name="a\0b"),
    _with(name="a\nb"),
    _with(name="x" * 121),
    _with(name="\ud800"),
    _with(script="<script>"),
]


def test_details_that_make_no_sense(client: TestClient) -> None:
    """Each is refused with a problem, and nothing is stored."""
    lease = _take(client)
    for details in HOSTILE:
        answer = _put(client, lease, details)
        assert answer.status_code == 422, (details, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/studies/street/trials/0").json()["artifacts"] == []


@pytest.mark.parametrize("kind", ["truth", "predictions"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a PNG"),
        (b"GIF89a" + bytes(60), "not a PNG"),
        (HEAD, "not a PNG"),
        (PIXELS.replace(b"\0\0\0\x78", b"\0\0\0\x77"), "119×40, and its details say 120×40"),
        (PIXELS.replace(b"\x08\x03", b"\x08\x02"), "palette"),
        (PIXELS.replace(b"\x08\x03\0\0\0", b"\x08\x03\0\0\1"), "interlacing"),
    ],
    ids=["empty", "gif", "short", "narrow", "colours", "interlaced"],
)
def test_labels_that_are_not_the_announced_png(
    client: TestClient, kind: str, content: bytes, said: str
) -> None:
    """They are refused as they come, not when somebody looks at them."""
    answer = _put(client, _take(client), kind=kind, content=content)
    assert answer.status_code == 422
    assert said in answer.text
    assert client.get("/api/v1/studies/street/trials/0").json()["artifacts"] == []


def test_predictions_are_of_a_step(client: TestClient) -> None:
    """Without one they are refused."""
    answer = _put(client, _take(client), query="")
    assert answer.status_code == 422
    assert "name it" in answer.text


def test_other_files_have_no_details(client: TestClient) -> None:
    """The header belongs to sheets."""
    answer = _put(client, _take(client), kind="model")
    assert answer.status_code == 422
    assert "photos, predictions, truth" in answer.text


def test_names_are_any_text(client: TestClient) -> None:
    """Markup and other alphabets come back as they went in, with no more rights than a name."""
    lease = _take(client)
    client.post(
        f"/api/v1/leases/{lease['lease']}/reports", json=report(1), headers=lease_token(lease)
    )
    assert _put(client, lease, _with(name="<b>街道</b>.png")).status_code == 201


def test_best_links_no_pictures(client: TestClient) -> None:
    """A best configuration names what trains or runs, not what is looked at."""
    lease = _take(client)
    url, headers = f"/api/v1/leases/{lease['lease']}", lease_token(lease)
    for step in (1, 2, 3):
        client.post(f"{url}/reports", json=report(step), headers=headers)
        _put(client, lease, query=f"&step={step}")
    client.post(f"{url}/finish", json={"kind": "completed", "step": 3}, headers=headers)
    best = client.get("/api/v1/studies/street/best").json()
    assert best["provenance"]["artifacts"] == []
