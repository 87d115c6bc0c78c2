"""Uploads that broke off go on where their bytes end; nobody else's, and never to wrong bytes."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.deps import AppState
from api.settings import Settings
from tests.api.samples import lease_token, running, study
from tuner.errors import Malformed
from tuner.service import upkeep, uploads
from tuner.service.uploads import PartialUpload, part_of

DATA = bytes(range(256)) * 5000
CAME = 300_000


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RESUMABLE", 1)


class Upload:
    """A model on its way up, under a lease of its own."""

    def __init__(self, client: TestClient, data: bytes = DATA) -> None:
        search = {"sampler": "random", "pruner": "none", "trials": 4, "parallel": 4}
        client.post("/api/v1/studies", json=study(search=search))
        self.lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
        self.client, self.data = client, data
        self.app: AppState = client.app.state.opened  # type: ignore[attr-defined]
        self.url = f"/api/v1/leases/{self.lease['lease']}/artifacts/model"
        digest = hashlib.sha256(data).hexdigest()
        self.headers = {**lease_token(self.lease), "Content-SHA256": digest}
        self.part: PartialUpload = part_of(self.lease["lease"], "model", digest)

    def break_off(self, came: bytes) -> None:
        """Let these bytes come, and then no others."""

        def chunks() -> Iterator[bytes]:
            yield came
            raise Malformed("the upload broke off")

        with pytest.raises(Malformed):
            self.app.receiver.whole(self.part, chunks(), length=len(self.data))

    def ask(self, **headers: str) -> Any:
        """Ask how far it has come."""
        return self.client.head(self.url, headers={**self.headers, **headers})

    def put(self) -> Any:
        """Send all of it."""
        return self.client.put(f"{self.url}?kind=model", content=self.data, headers=self.headers)

    def go_on(self, offset: int | str, body: Any = None, **headers: str) -> Any:
        """Send the rest, or something else."""
        rest = self.data[int(offset) :] if body is None else body
        said = {"Upload-Offset": str(offset), "Upload-Complete": "?1"}
        url = f"{self.url}?kind=model"
        return self.client.patch(url, content=rest, headers={**self.headers, **said, **headers})

    def stored(self, answer: Any) -> bytes:
        """The bytes of the artifact that an answer names."""
        content: bytes = self.client.get(f"/api/v1/artifacts/{answer.json()['id']}").content
        return content


def parts(settings: Settings) -> list[Path]:
    """What is there of uploads that are not whole."""
    return list((settings.artifact_folder / "uploads").glob("*.part"))


def problem(answer: Any) -> tuple[int, str]:
    """Status and type of a refusal."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:segtune:")


def test_the_rest_is_enough(any_client: TestClient, settings: Settings) -> None:
    """After a byte, after some, and after all of them."""
    for name, came in (("first", 1), ("second", CAME), ("third", 5 + len(DATA))):
        upload = Upload(any_client, name.encode() + DATA)
        upload.break_off(upload.data[:came])
        asked = upload.ask()
        answer = upload.go_on(asked.headers["Upload-Offset"])

        assert (asked.status_code, asked.headers["Upload-Offset"]) == (204, str(came))
        assert asked.headers["Upload-Complete"] == "?0"
        assert asked.headers["Cache-Control"] == "no-store"
        assert answer.status_code == 201
        assert upload.stored(answer) == upload.data
        assert parts(settings) == []


def test_it_may_break_off_again(client: TestClient) -> None:
    """What came of the rest stays too."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])

    def chunks() -> Iterator[bytes]:
        yield DATA[CAME : 2 * CAME]
        raise Malformed("the upload broke off")

    with pytest.raises(Malformed):
        upload.app.receiver.rest(upload.part, chunks(), offset=CAME)
    assert upload.ask().headers["Upload-Offset"] == str(2 * CAME)
    assert upload.stored(upload.go_on(2 * CAME)) == DATA


def test_nothing_has_come(client: TestClient) -> None:
    """An upload may begin as one that goes on at its first byte."""
    upload = Upload(client)
    assert upload.ask().headers["Upload-Offset"] == "0"
    assert upload.stored(upload.go_on(0)) == DATA


def test_a_file_that_is_stored_does_not_travel(any_client: TestClient) -> None:
    """All of it is there when the answer was lost; an empty rest gives it to the trial."""
    upload = Upload(any_client)
    first = upload.put().json()
    assert upload.ask().headers["Upload-Offset"] == str(len(DATA))
    again = upload.go_on(len(DATA))
    assert upload.stored(again) == DATA
    assert again.json()["sha256"] == first["sha256"]
    assert problem(upload.go_on(len(DATA), b"more")) == (422, "digest-mismatch")


def test_a_damaged_file_is_not_taken_for_the_upload(client: TestClient, settings: Settings) -> None:
    """It has the right length only; the whole file replaces it."""
    upload = Upload(client)
    upload.put()
    (path,) = settings.artifact_folder.glob("[0-9a-f][0-9a-f]/*")
    path.write_bytes(bytes(len(DATA)))
    assert problem(upload.go_on(len(DATA))) == (410, "damaged-artifact")
    assert upload.stored(upload.put()) == DATA


def test_another_offset(client: TestClient) -> None:
    """It is refused with the right one, and nothing is changed."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])
    for offset in (0, 1, CAME - 1, CAME + 1, len(DATA)):
        answer = upload.go_on(offset, b"x")
        assert problem(answer) == (409, "upload-moved")
        assert answer.headers["Upload-Offset"] == str(CAME)
    assert problem(upload.go_on(2**53 - 1, b"x")) == (413, "too-large")
    assert upload.stored(upload.go_on(CAME)) == DATA


def test_headers_that_say_something_else(client: TestClient) -> None:
    """They are refused, and nothing is changed: a rest is not taken in parts."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])
    for offset in ("-1", "", "x", "1.5", "0x10", str(2**53), "9" * 5000, "1, 2"):
        assert problem(upload.go_on(offset, b"x")) == (422, "invalid-request")
    for complete in ("?0", "1", "true", ""):
        answer = upload.go_on(CAME, **{"Upload-Complete": complete})
        assert problem(answer) == (422, "invalid-request")
    assert upload.ask().headers["Upload-Offset"] == str(CAME)


def test_wrong_bytes(client: TestClient, settings: Settings) -> None:
    """They are deleted, those that came before as well: nobody knows which were wrong."""
    upload = Upload(client)
    upload.break_off(b"x" * CAME)
    assert problem(upload.go_on(CAME)) == (422, "digest-mismatch")
    assert parts(settings) == []
    assert upload.stored(upload.put()) == DATA


def test_too_many_bytes(settings: Settings) -> None:
    """The limit is one of the whole file, whether the rest says its length or not."""

    def chunks() -> Iterator[bytes]:
        yield DATA[CAME:]

    with running(settings.model_copy(update={"max_artifact_mb": 1})) as client:
        upload = Upload(client)
        upload.break_off(DATA[:CAME])
        answers = [upload.go_on(CAME), upload.go_on(CAME, chunks())]

    for answer in answers:
        assert problem(answer) == (413, "too-large")
        assert "may have 1 MiB" in answer.json()["detail"]
    assert parts(settings) == []


def test_a_rest_without_room(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is 507 before a byte is taken, and what came stays."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
        assert problem(upload.go_on(CAME)) == (507, "storage-full")
    assert upload.ask().headers["Upload-Offset"] == str(CAME)


def test_only_the_lease_goes_on(any_client: TestClient) -> None:
    """Neither a wrong token nor another attempt finds what came."""
    upload, other = Upload(any_client), Upload(any_client)
    upload.break_off(DATA[:CAME])
    stale = {"Lease-Token": "wrong"}

    assert upload.ask(**stale).status_code == 409
    assert problem(upload.go_on(CAME, **stale)) == (409, "lease-lost")
    assert other.ask().headers["Upload-Offset"] == "0"
    assert problem(other.go_on(CAME)) == (409, "upload-moved")
    end = f"/api/v1/leases/{upload.lease['lease']}/finish"
    any_client.post(end, json={"kind": "yielded", "step": 0}, headers=lease_token(upload.lease))
    assert problem(upload.go_on(CAME)) == (409, "lease-lost")


def test_two_uploads_of_one_file(client: TestClient) -> None:
    """The first that comes keeps its turn; a whole file passes it by."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])
    with upload.app.broken.turn(upload.part) as mine:
        assert mine
        asked, rest, whole = upload.ask(), upload.go_on(CAME), upload.put()
    assert (asked.status_code, asked.headers["Retry-After"]) == (423, "2")
    assert problem(rest) == (423, "upload-busy")
    assert upload.stored(whole) == DATA
    assert upload.stored(upload.go_on(CAME)) == DATA


def test_another_process_goes_on(settings: Settings, database_url: str) -> None:
    """Of several servers with one database and one folder, any does."""
    shared = settings.model_copy(update={"database_url": database_url})
    with running(shared) as one, running(shared) as two:
        upload = Upload(one)
        upload.break_off(DATA[:CAME])
        upload.client = two
        assert upload.ask().headers["Upload-Offset"] == str(CAME)
        assert upload.stored(upload.go_on(CAME)) == DATA


def test_upkeep_deletes_what_nobody_goes_on_with(client: TestClient, settings: Settings) -> None:
    """After an hour; never what is being written."""
    upload = Upload(client)
    upload.break_off(DATA[:CAME])
    (path,) = parts(settings)
    assert upkeep.discard_broken(upload.app.db, upload.app.broken) == 0
    os.utime(path, (0, 0))
    with upload.app.broken.turn(upload.part):
        assert upkeep.discard_broken(upload.app.db, upload.app.broken) == 0
    assert upkeep.discard_broken(upload.app.db, upload.app.broken) == 1
    assert upload.ask().headers["Upload-Offset"] == "0"


def test_a_small_file_leaves_nothing(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sooner sent again than asked for."""
    monkeypatch.setattr(uploads, "RESUMABLE", len(DATA) + 1)
    Upload(client).break_off(DATA[:CAME])
    assert [path for path in settings.artifact_folder.rglob("*") if path.is_file()] == []
