"""Artifacts at a URL: in S3, as moto plays it."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from api.settings import Settings
from tests.api.samples import lease_token, running, study
from tests.store.fleet import Fleet
from tuner.cli.app import app
from tuner.errors import (
    DamagedArtifact,
    DigestMismatch,
    InvalidInput,
    Malformed,
    NotFound,
    PackageMissing,
    StorageError,
    TooLarge,
)
from tuner.service import artifacts, storage
from tuner.service.uploads import Receiver, part_of
from tuner.store import bucket
from tuner.store.artifacts import Stored, Upload
from tuner.store.bucket import Bucket
from tuner.store.engine import Database
from tuner.store.partials import Partials

LIMIT = 2**30
PART = 5 * 2**20  # S3 takes no smaller one but the last
FUTURE = datetime.now(UTC) + timedelta(days=1)
PAST = FUTURE - timedelta(days=2)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket on loopback; credentials and address come from the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3", use_listings_cache=False).mkdir("artifacts")
        yield "s3://artifacts"
    server.stop()


@pytest.fixture
def store(s3: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty place, whose parts are small."""
    monkeypatch.setattr(bucket, "_PART", PART)
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return Bucket(f"{s3}/{name}/")


def put(store: Bucket, data: bytes, *, announced: bytes | None = None) -> Stored:
    """Write bytes in pieces, under the digest that is announced."""
    said = hashlib.sha256(data if announced is None else announced).hexdigest()
    pieces = (data[at : at + 2**20] for at in range(0, len(data), 2**20))
    return store.write(pieces, sha256=said, limit=LIMIT)


def files(store: Bucket) -> list[str]:
    """All that is there, broken uploads too."""
    system: Any = store._fs
    parts = system.call_s3("list_multipart_uploads", Bucket="artifacts")
    return [*system.find(store._root), *parts.get("Uploads", ())]


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 7])
def test_bytes_come_back(store: Bucket, size: int) -> None:
    """Of any size, in one part or several, and as often as they are written."""
    data = bytes(size)
    stored = put(store, data)
    assert put(store, data) == stored == Stored(hashlib.sha256(data).hexdigest(), size)
    assert b"".join(store.read(stored)) == data
    assert len(files(store)) == 1


def test_the_rest_of_an_upload(store: Bucket, tmp_path: Path) -> None:
    """What came waits on the server's disk until all of it goes to the bucket."""
    data = bytes(9 * 2**20)
    part = part_of("lease", "model", hashlib.sha256(data).hexdigest())
    here = Receiver(store, Partials(tmp_path), limit=LIMIT)

    def breaking() -> Iterator[bytes]:
        yield data[:1000]
        raise Malformed("the upload broke off")

    with pytest.raises(Malformed):
        here.whole(part, breaking(), length=len(data))
    assert (here.offset(part), files(store)) == (1000, [])
    stored = here.rest(part, [data[1000:]], offset=1000)
    assert b"".join(store.read(stored)) == data
    assert list(tmp_path.glob("*.part")) == []
    assert here.offset(part) == len(data)
    assert here.rest(part, [], offset=len(data)) == stored


def test_a_digest_that_nobody_said(store: Bucket) -> None:
    """It is found out before the bytes go up."""
    stored = store.write([b"some", b"bytes"], sha256=None, limit=LIMIT)
    with store.open(stored.sha256) as file:
        assert file.read() == b"somebytes"


def broken(size: int) -> Iterator[bytes]:
    """An upload that its sender leaves."""
    for _ in range(size // 2**20 + 1):
        yield bytes(2**20)
    raise Malformed("the upload broke off")


@pytest.mark.parametrize("size", [100, 2 * PART])
def test_nothing_stays_of_what_is_refused(store: Bucket, size: int) -> None:
    """Wrong bytes, too many of them, and half of them: no file, and no part of one."""
    digest = hashlib.sha256(bytes(size)).hexdigest()
    with pytest.raises(DigestMismatch):
        put(store, bytes(size), announced=b"others")
    with pytest.raises(TooLarge):
        store.write([bytes(size)], sha256=digest, limit=size - 1)
    with pytest.raises(Malformed):
        store.write(broken(size), sha256=digest, limit=LIMIT)
    assert files(store) == []


def test_a_damaged_file(store: Bucket) -> None:
    """Its bytes are refused, until they are written anew."""
    stored = put(store, b"right")
    store._fs.pipe_file(store._file(stored.sha256), b"wrong")
    for _ in range(2):
        with pytest.raises(DamagedArtifact, match="artifacts/"):
            list(store.read(stored))
    store._fs.pipe_file(store._file(stored.sha256), b"wrong size")
    with pytest.raises(DamagedArtifact):
        list(store.read(stored))
    put(store, b"right")
    assert b"".join(store.read(stored)) == b"right"


def test_a_file_that_is_not_there(store: Bucket) -> None:
    """As in a folder."""
    gone = "0" * 64
    assert not store.has(gone)
    assert not store.remove(gone, before=FUTURE)
    assert store.older_than(FUTURE) == ()
    with pytest.raises(NotFound):
        store.open(gone)


def test_old_files(store: Bucket) -> None:
    """They are found and deleted; younger ones are not, whoever asks."""
    stored = put(store, b"bytes")
    assert not store.remove(stored.sha256, before=PAST)
    assert store.older_than(FUTURE) == (stored.sha256,)
    assert store.older_than(PAST) == ()
    assert store.has(stored.sha256)
    assert store.remove(stored.sha256, before=FUTURE)
    assert not store.has(stored.sha256)


def test_files_of_others_are_left_alone(store: Bucket) -> None:
    """A bucket may hold more than artifacts."""
    store._fs.pipe_file(f"{store._root}/notes.txt", b"notes")
    store._fs.pipe_file(f"{store._root}/ab/abandoned", b"notes")
    stored = put(store, b"bytes")
    assert store.older_than(FUTURE) == (stored.sha256,)


def test_a_place_is_tried(store: Bucket) -> None:
    """What is written for that is gone again."""
    store.probe()
    assert files(store) == []


def test_a_bucket_that_is_not_there(s3: str) -> None:
    """The error names the place and says what to look at."""
    with pytest.raises(StorageError, match=r"s3://missing/x .*credentials"):
        storage.probe("s3://missing/x")


def test_an_unknown_kind_of_place() -> None:
    """Whether nobody knows it or only this machine does not."""
    with pytest.raises(InvalidInput, match="nowhere://x"):
        storage.probe("nowhere://x")
    with pytest.raises(PackageMissing, match=r"oss2|ossfs"):
        storage.probe("oss://bucket/x")


def test_a_place_that_shows_half_a_file() -> None:
    """A reader could take it for a whole one."""
    with pytest.raises(StorageError, match="whole or not at all"):
        storage.probe("memory://artifacts")


def test_a_server_with_a_bucket(s3: str, tmp_path: Path, sqlite_url: str) -> None:
    """What a worker uploads goes there and comes back; the local disk holds none of it."""
    settings = Settings(
        _env_file=None, home=tmp_path, database_url=sqlite_url, artifacts=f"{s3}/server"
    )
    data = b"weights" * 1000
    with running(settings) as client:
        client.post("/api/v1/studies", json=study())
        lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
        headers = {**lease_token(lease), "Content-SHA256": hashlib.sha256(data).hexdigest()}
        url = f"/api/v1/leases/{lease['lease']}/artifacts/model?kind=model"
        up = client.put(url, content=data, headers=headers)
        down = client.get(f"/api/v1/artifacts/{up.json()['id']}")
    assert (up.status_code, down.content) == (201, data)
    assert Bucket(f"{s3}/server").has(hashlib.sha256(data).hexdigest())
    assert not (tmp_path / "artifacts").exists()


def test_a_study_moves_between_buckets(
    s3: str, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are read from the one and written to the other, and to no folder."""
    monkeypatch.chdir(tmp_path)
    db = Database(sqlite_url)
    fleet = Fleet(db)
    fleet.submit()
    held, here = fleet.take(), Bucket(f"{s3}/here")
    upload = Upload("model", "model", 1, put(here, b"weights"))
    artifacts.attach(db, held.lease, held.token, upload, store=here)
    for words, place in (["export", "streets", "s.zip"], "here"), (["import", "s.zip"], "there"):
        monkeypatch.setenv("SEGTUNE_ARTIFACTS", f"{s3}/{place}")
        name = ["--name", "again"] if place == "there" else []
        done = CliRunner().invoke(app, ["db", *words, *name, "--url", sqlite_url])
        assert done.exit_code == 0, done.output
    db.dispose()
    assert Bucket(f"{s3}/there").has(upload.stored.sha256)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
