"""What contradicts itself is found and named; what belongs together is not."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.cli.app import app
from tuner.service import artifacts as uploads
from tuner.service import studies
from tuner.spec.messages import OutcomeKind
from tuner.store import checks
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database


@pytest.fixture
def database(database: Database) -> Database:
    """A database with all that goes on: trained, running, given back, deleted."""
    fleet = Fleet(database)
    fleet.submit()
    fleet.train(fleet.take())
    fleet.report(fleet.take(), 1, 2)
    given_back = fleet.take()
    fleet.report(given_back, 1)
    fleet.finish(given_back, OutcomeKind.YIELDED)
    fleet.submit(spec("gone"))
    fleet.report(fleet.take(study="gone"), 1)
    studies.delete(database, "gone", cancel=True)
    return database


def test_a_healthy_database(database: Database) -> None:
    """Nothing is found while trials run, wait and are hidden."""
    assert list(checks.contradictions(database)) == []


SPOILED = {
    "UPDATE studies SET drawn = 5 WHERE id = 1": (
        "study streets (id 1) counts 5 trials; there are 3, the last with the number 2"
    ),
    "DELETE FROM events WHERE study_id = 2 AND seq = 2": (
        "study gone (id 2) counts 7 events; there are 6, the last with the number 7"
    ),
    "DELETE FROM reports WHERE step = 2 AND trial_id = 1": (
        "trial 0 of streets is at step 3, and has 2 reports, the last of step 3"
    ),
    "DELETE FROM reports WHERE step = 2 AND trial_id = 2": (
        "trial 1 of streets is at step 2, and has 1 report, the last of step 1"
    ),
    "UPDATE attempts SET ended_at = '2026-01-01', outcome = 'lost' WHERE ended_at IS NULL": (
        "trial 1 of streets is running, and no attempt holds a lease of it"
    ),
    "UPDATE attempts SET ended_at = NULL WHERE trial_id = 3": (
        "trial 2 of streets is waiting, but leased"
    ),
    "DELETE FROM attempts WHERE trial_id = 1": (
        "trial 0 of streets counts 1 attempt; there are 0, the last with the number 0"
    ),
}


def test_rows_that_contradict_each_other(database: Database) -> None:
    """Study and trial are named, and both sides of it."""
    with database.transaction() as session:
        for statement in SPOILED:
            session.execute(text(statement))
    assert list(checks.contradictions(database)) == list(SPOILED.values())


def test_rows_without_their_parent(sqlite_url: str) -> None:
    """SQLite lets whoever does not ask for foreign keys make them."""
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as plain, plain:
        plain.execute("INSERT INTO events VALUES (9, 1, 'x', NULL, '{}', '2026-01-01')")
    db = Database(sqlite_url)
    found = list(checks.contradictions(db))
    db.dispose()
    assert found == ["table events: row 1 names a row of studies that is not there"]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A store of files."""
    return ArtifactStore(tmp_path / "artifacts")


def _upload(db: Database, store: ArtifactStore, content: bytes) -> Path:
    """The file of an artifact of a trial that runs."""
    fleet = Fleet(db)
    fleet.submit(spec(f"files-{len(content)}"))
    held = fleet.take(study=f"files-{len(content)}")
    stored = store.write([content], sha256=None, limit=1 << 20)
    upload = uploads.Upload("model.pt", "model", None, stored)
    uploads.attach(db, held.lease, held.token, upload, store=store)
    return next(path for path in store.folder.rglob(stored.sha256))


@pytest.mark.parametrize(
    ("spoil", "said", "is_seen_quickly"),
    [
        (lambda file: None, "", True),
        (lambda file: file.unlink(), "its file is missing", True),
        (lambda file: file.write_bytes(b"weight"), "has 6 bytes, and its row says 7", True),
        (lambda file: file.write_bytes(b"wEights"), "its file is damaged", False),
    ],
)
def test_files_of_artifacts(
    sqlite_url: str,
    store: ArtifactStore,
    spoil: Callable[[Path], None],
    said: str,
    is_seen_quickly: bool,
) -> None:
    """Each is there, as long as it was, and the same."""
    database = Database(sqlite_url)
    spoil(_upload(database, store, b"weights"))
    whole = list(checks.files(database, store))
    quick = list(checks.files(database, store, whole=False))
    database.dispose()
    assert len(whole) == bool(said)
    assert all(said in each for each in whole)
    assert quick == (whole if is_seen_quickly else [])


def test_the_command_says_what_it_found(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 with findings, 0 without; backup and restore in between."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path))
    db = Database(sqlite_url)
    Fleet(db).submit()

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["db", *arguments, "--url", sqlite_url])
        return done.exit_code, done.output

    code, output = run("check")
    assert (code, output.splitlines()[-1]) == (0, "nothing is wrong")
    assert run("backup", "copy.backup")[0] == 0
    with db.transaction() as session:
        session.execute(text("UPDATE studies SET drawn = 5"))
    db.dispose()
    code, output = run("check")
    assert code == 1
    assert "counts 5 trials; there are 0" in output
    code, output = run("restore", "copy.backup")
    assert code == 2
    assert "--force" in output
    assert run("restore", "copy.backup", "--force")[0] == 0
    assert run("check")[0] == 0
