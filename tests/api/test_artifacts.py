import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, running, serving, study
from tuner.spec.messages import ArtifactRef

DATA = bytes(range(256)) * 5000


def _headers(lease: dict[str, str], data: bytes = DATA) -> dict[str, str]:
    return {**lease_token(lease), "Content-SHA256": hashlib.sha256(data).hexdigest()}


def _take(client: TestClient) -> tuple[str, dict[str, str]]:
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    return f"/api/v1/leases/{lease['lease']}/artifacts", lease


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_round_trip(any_client: TestClient) -> None:
    """A file comes back as it went up, with its digest as ETag."""
    url, lease = _take(any_client)
    up = any_client.put(
        f"{url}/checkpoint?kind=checkpoint&step=1", content=DATA, headers=_headers(lease)
    )
    reference = ArtifactRef.model_validate_json(up.content)
    down = any_client.get(f"/api/v1/artifacts/{reference.id}")

    assert up.status_code == 201
    assert down.content == DATA
    assert down.headers["etag"] == f'"{reference.sha256}"'
    assert down.headers["content-length"] == str(len(DATA))
    assert 'filename="checkpoint"' in down.headers["content-disposition"]


@pytest.mark.parametrize(
    ("name", "kind", "media", "disposition"),
    [
        ("preview.webp", "preview", "image/webp", "inline"),
        ("preview.html", "preview", "application/octet-stream", "attachment"),
        ("model.webp", "model", "application/octet-stream", "attachment"),
    ],
)
def test_only_a_preview_is_shown(
    client: TestClient, name: str, kind: str, media: str, disposition: str
) -> None:
    """A browser shows a preview that is a picture, and saves everything else."""
    url, lease = _take(client)
    up = client.put(f"{url}/{name}?kind={kind}", content=DATA, headers=_headers(lease)).json()
    down = client.get(f"/api/v1/artifacts/{up['id']}")

    assert down.headers["content-type"] == media
    assert down.headers["content-disposition"].startswith(disposition)
    assert down.headers["x-content-type-options"] == "nosniff"


def test_known_file_is_not_sent_again(client: TestClient) -> None:
    """A caller that has the file gets 304."""
    url, lease = _take(client)
    up = client.put(f"{url}/model?kind=model", content=DATA, headers=_headers(lease)).json()
    etag = f'"{up["sha256"]}"'
    answer = client.get(f"/api/v1/artifacts/{up['id']}", headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert answer.content == b""


def test_wrong_digest(client: TestClient, settings: Settings) -> None:
    """Other bytes than announced are refused, and nothing is kept."""
    url, lease = _take(client)
    answer = client.put(f"{url}/model?kind=model", content=b"other", headers=_headers(lease))

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:segtune:digest-mismatch"
    assert _files(settings.artifact_folder) == []


@pytest.mark.parametrize("announced", [True, False])
def test_too_large(settings: Settings, *, announced: bool) -> None:
    """A file over the limit is refused, whether its length is announced or not."""

    def chunks() -> Iterator[bytes]:
        yield DATA

    small = settings.model_copy(update={"max_artifact_mb": 0.5})
    with running(small) as client:
        url, lease = _take(client)
        answer = client.put(
            f"{url}/model?kind=model",
            content=DATA if announced else chunks(),
            headers=_headers(lease),
        )

    assert answer.status_code == 413
    assert "SEGTUNE_MAX_ARTIFACT_MB" in answer.json()["detail"]
    assert _files(small.artifact_folder) == []


def test_stale_lease_uploads_nothing(client: TestClient, settings: Settings) -> None:
    """An upload under a wrong token is refused before its bytes are stored."""
    url, lease = _take(client)
    headers = {**_headers(lease), "Lease-Token": "wrong"}
    answer = client.put(f"{url}/model?kind=model", content=DATA, headers=headers)

    assert answer.json()["type"] == "urn:segtune:lease-lost"
    assert _files(settings.artifact_folder) == []


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "a%20b", "a%00", "x" * 129, "ü", "a%0d%0ab"])
def test_odd_names(client: TestClient, name: str) -> None:
    """A name that is not plain is refused."""
    url, lease = _take(client)
    answer = client.put(f"{url}/{name}?kind=model", content=DATA, headers=_headers(lease))

    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["", "?kind=virus", "?kind=model&step=-1", "?kind=model&step=x"])
def test_odd_labels(client: TestClient, query: str) -> None:
    """A kind or step that does not exist is refused."""
    url, lease = _take(client)
    answer = client.put(f"{url}/model{query}", content=DATA, headers=_headers(lease))

    assert answer.status_code == 422


def test_unknown_artifact(client: TestClient) -> None:
    """An id that no file has is not found."""
    assert client.get("/api/v1/artifacts/77").status_code == 404


def test_newer_checkpoint_replaces(client: TestClient) -> None:
    """Only the newest checkpoint of a trial is kept."""
    url, lease = _take(client)
    ids = []
    for step in (1, 2):
        data = DATA + bytes([step])
        query = f"checkpoint?kind=checkpoint&step={step}"
        answer = client.put(f"{url}/{query}", content=data, headers=_headers(lease, data))
        ids.append(answer.json()["id"])

    statuses = [client.get(f"/api/v1/artifacts/{number}").status_code for number in ids]
    assert statuses == [404, 200]


def test_no_room(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is 507 with what to do, before a byte is taken."""
    url, lease = _take(client)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(DATA) - 1))
    answer = client.put(f"{url}/model?kind=model", content=DATA, headers=_headers(lease))

    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:segtune:storage-full"
    assert "make room" in answer.json()["detail"]


@pytest.mark.parametrize("size", [0, 1, 1000, len(DATA)])
def test_files_of_any_size(client: TestClient, size: int) -> None:
    """All bytes come back, and none besides."""
    url, lease = _take(client)
    data = DATA[:size]
    up = client.put(f"{url}/model?kind=model", content=data, headers=_headers(lease, data)).json()

    assert client.get(f"/api/v1/artifacts/{up['id']}").content == data


def _damage(folder: Path, change: bytes) -> Path:
    (path,) = _files(folder)
    path.write_bytes(change)
    return path


@pytest.mark.parametrize(
    "change",
    [b"", DATA[:-1], DATA + b"x" * 2**21, b"x" + DATA[1:], DATA[:-1] + b"x"],
    ids=["empty", "cut", "longer", "first byte", "last byte"],
)
def test_wrong_bytes_are_never_given_out(settings: Settings, change: bytes) -> None:
    """A damaged file breaks off before its end at worst; from then on it is an error of its own."""
    with serving(settings) as live:
        client = live.client
        client.post("/api/v1/studies", json=study())
        lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
        url = f"/api/v1/leases/{lease['lease']}/artifacts/model?kind=model"
        up = client.put(url, content=DATA, headers=_headers(lease)).json()
        file = _damage(settings.artifact_folder, change)
        with suppress(httpx.RemoteProtocolError):
            assert client.get(f"/api/v1/artifacts/{up['id']}").status_code == 410
        again = client.get(f"/api/v1/artifacts/{up['id']}")
        file.write_bytes(DATA)
        os.utime(file, (1, 1))
        healed = client.get(f"/api/v1/artifacts/{up['id']}")

    assert (again.status_code, again.json()["type"]) == (410, "urn:segtune:damaged-artifact")
    assert str(file) in again.json()["detail"]
    assert healed.content == DATA
