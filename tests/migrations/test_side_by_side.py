"""Servers of two releases on one database, while the later one takes over.

The release before is the tree as it was before the newest migration; the one to come is this tree
with one migration more, which adds a column, a table and an index.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, report, running, study
from tests.clones import PostgresServer
from tests.migrations.test_migrations import HEAD, ROOT
from tuner.store.migrate import head

PACKAGES = ("api", "tuner", "workers")
ONE_MORE = f"""{HEAD.format(head=head())}
    op.add_column("trials", sa.Column("note", sa.Text(), nullable=True))
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_trials_note", "trials", ["note"])
"""
AnyClient = TestClient | httpx.Client


@pytest.fixture
def bare_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a PostgreSQL database without any table."""
    url = postgres_server.create(template="template0")
    yield url
    postgres_server.drop(url)


@pytest.fixture
def settings(tmp_path: Path, bare_url: str) -> Settings:
    """Settings of this release's server."""
    return Settings(_env_file=None, home=tmp_path / "home", database_url=bare_url)


@pytest.fixture
def tree_before(tmp_path: Path) -> Path:
    """The sources of the release before; skips where git does not know them."""
    newest = max((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    added = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(newest))
    packed = added and _git("archive", f"{added.decode().strip()}^", *PACKAGES, "migrations")
    if not packed:
        pytest.skip(f"git does not know the tree before {newest.name}: no history is here")
    tree = tmp_path / "before"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree, filter="data")
    return tree


@pytest.fixture
def tree_to_come(tmp_path: Path) -> Path:
    """The sources of this release with one migration more."""
    tree = tmp_path / "to_come"
    shutil.copytree(ROOT / "migrations", tree / "migrations")
    (tree / "migrations" / "versions" / "9999_one_more.py").write_text(ONE_MORE)
    for package in PACKAGES:
        (tree / package).symlink_to(ROOT / package)
    return tree


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


@contextmanager
def server_of(tree: Path, url: str) -> Iterator[httpx.Client]:
    """A client of a real server that runs other sources than these."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner.cli.app", "serve", "--port", "0"],
        env={
            **os.environ,
            "PYTHONPATH": str(tree),
            "SEGTUNE_DATABASE_URL": url,
            "SEGTUNE_HOME": str(tree / "home"),
        },
        cwd=tree,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("segtune serves on ")
        with process.stdout, httpx.Client(base_url=address, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


class Trial:
    """One trial of three epochs, whose worker asks whichever server it reaches."""

    def __init__(self, client: AnyClient, worker: str) -> None:
        answer = client.post("/api/v1/leases", json={"worker": worker})
        assert answer.status_code == 200, answer.text
        assignment = answer.json()
        self.number = int(assignment["trial"])
        self._url = f"/api/v1/leases/{assignment['lease']}"
        self._token = lease_token(assignment)

    def report(self, client: AnyClient, step: int) -> None:
        """Hand in one step, and renew the lease."""
        for answer in (
            client.post(f"{self._url}/reports", json=report(step), headers=self._token),
            client.put(self._url, json={}, headers=self._token),
        ):
            assert answer.status_code == 200, answer.text

    def finish(self, client: AnyClient) -> None:
        """Say that it is complete."""
        end = {"kind": "completed", "step": 3}
        answer = client.post(f"{self._url}/finish", json=end, headers=self._token)
        assert answer.status_code == 204, answer.text


def begun(old: AnyClient) -> Trial:
    """A trial in its first epoch, before there is another release."""
    assert old.post("/api/v1/studies", json=study()).status_code == 201
    trial = Trial(old, "w1")
    trial.report(old, 1)
    return trial


def go_on(trial: Trial, old: AnyClient, new: AnyClient) -> None:
    """Trials go on at either, from one call to the next, and both tell the same of them."""
    trial.report(old, 2)
    trial.report(new, 3)
    other = Trial(new, "w2")
    trial.finish(old)
    for step, client in enumerate((old, new, old), start=1):
        other.report(client, step)
    other.finish(new)
    last = Trial(old, "w3")
    for step in (1, 2, 3):
        last.report(old, step)
    last.finish(old)

    for client in (old, new):
        trials = client.get("/api/v1/studies/street/trials").json()["items"]
        assert {
            each["number"]: (each["state"], each["step"], each["attempts"]) for each in trials
        } == {each.number: ("completed", 3, 1) for each in (trial, other, last)}
        assert client.get("/health/live").status_code == 200


def test_the_release_before_goes_on_beside_this_one(tree_before: Path, settings: Settings) -> None:
    """It made the tables; this one changes them under it, and trials notice nothing."""
    with server_of(tree_before, settings.database_url) as old:
        trial = begun(old)
        with running(settings) as new:
            go_on(trial, old, new)
            assert new.get("/health/ready").status_code == 200


def test_this_release_goes_on_beside_the_one_to_come(
    tree_to_come: Path, settings: Settings
) -> None:
    """It stays ready, so that a load balancer leaves it in until the other one is there."""
    with running(settings) as old:
        trial = begun(old)
        with server_of(tree_to_come, settings.database_url) as new:
            go_on(trial, old, new)
            assert [each.get("/health/ready").status_code for each in (old, new)] == [200, 200]
