"""A study goes from one database into another of any kind, and nobody can tell them apart."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from tests.store import populations
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.cli.app import app
from tuner.errors import Conflict, Malformed, NotFound, SegtuneError, UnsupportedVersion
from tuner.service import archives, leases, overview, studies, webhooks
from tuner.service import artifacts as uploads
from tuner.spec.messages import Assignment, Outcome, OutcomeKind, Report, ReportBatch
from tuner.spec.states import StudyState
from tuner.spec.views import StudyChange
from tuner.store import checks
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

IDS = {"id", "artifact", "lease", "study_id"}
Content = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """The files of the first server."""
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def elsewhere(tmp_path: Path) -> ArtifactStore:
    """The files of the second one."""
    return ArtifactStore(tmp_path / "elsewhere")


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The first server's database, of each kind."""
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "sqlite":  # the second one's file has the same name
        path = Path(url.removeprefix("sqlite:///"))
        url = f"sqlite:///{path.rename(path.with_name('source.db'))}"
    db = Database(url)
    yield db
    db.dispose()


@pytest.fixture
def target(source: Database, request: pytest.FixtureRequest) -> Iterator[Database]:
    """The second server's, of the other kind, where something is stored already."""
    other = "postgresql" if source.url.startswith("sqlite") else "sqlite"
    db = Database(request.getfixturevalue(f"{other}_url"))
    fleet = Fleet(db)
    for name in ("one", "two"):  # so that no id is the same
        fleet.submit(spec(name))
    fleet.train(fleet.take("other", study="two"))
    yield db
    db.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a study is exported to."""
    return tmp_path / "study.zip"


def _upload(db: Database, store: ArtifactStore, held: Assignment, content: bytes) -> None:
    stored = store.write([content], sha256=None, limit=1 << 20)
    upload = uploads.Upload("weights.pt", "model", None, stored)
    uploads.attach(db, held.lease, held.token, upload, store=store)


def _train(db: Database, store: ArtifactStore) -> None:
    """A study with trials in many states, matrices, odd numbers and files."""
    fleet = Fleet(db)
    fleet.submit(spec(search={"sampler": "tpe", "pruner": "none", "trials": 8, "parallel": 8}))
    first = fleet.take("w1")
    _upload(db, store, first, b"weights")
    classes = len(spec().dataset.classes)
    report = Report(
        step=1,
        metrics={"miou": 0.1 + 0.2, "train_loss": 1e-310},
        seconds=0.1,
        confusion=tuple(tuple(range(row, row + classes)) for row in range(classes)),
    )
    batch = ReportBatch(reports=(report,))
    leases.report(db, first.lease, first.token, batch, lease_seconds=60, searches=fleet.searches)
    fleet.report(first, 2, 3, value=0.75)
    fleet.finish(first)
    failing, given_back = fleet.take("node@7"), fleet.take("w2")
    fleet.report(failing, 1)
    error = Outcome(kind=OutcomeKind.FAILED, error="no \x1b[1m memory\n路", error_kind="data")
    leases.finish(db, failing.lease, failing.token, error)
    fleet.report(given_back, 1, 2)
    _upload(db, store, given_back, b"other weights")
    fleet.finish(given_back, OutcomeKind.YIELDED)


def _seen(db: Database, name: str) -> Content:
    """What readers see of a study."""
    view = overview.study(db, name)
    trials = [overview.trial(db, name, number) for number in range(_count(db, name))]
    steps = [overview.steps(db, name, each.number) for each in trials]
    found = {
        "study": view.model_dump(mode="json"),
        "trials": [each.model_dump(mode="json") for each in trials],
        "steps": [[step.model_dump(mode="json") for step in each] for each in steps],
        "events": [each.model_dump(mode="json") for each in overview.events(db, name)],
    }
    seen: Content = _without_ids(found)
    return seen


def _count(db: Database, name: str) -> int:
    with db.reading() as session:
        return session.scalar(select(Study.trial_count).where(Study.name == name)) or 0


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_ids(each)
            for name, each in value.items()
            if name not in IDS and name not in {"url", "href", "path"}
        }
    return [_without_ids(each) for each in value] if isinstance(value, list) else value


def _content(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_nothing_is_lost_on_the_way(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """Readers see the same, and what is exported from the second database is the same file."""
    _train(source, store)
    studies.change(source, "streets", StudyChange(state="cancelled"))
    archives.save(source, store, "streets", file)
    assert (file.stat().st_mode & 0o777) == 0o600
    view = archives.load(target, elsewhere, file)
    assert view.state is StudyState.CANCELLED
    assert _seen(target, "streets") == _seen(source, "streets")
    again = file.with_name("again.zip")
    found = archives.save(target, elsewhere, "streets", again)
    assert found == archives.ExportedStudy("streets", 3, 2)
    assert _content(again) == _content(file)
    assert list(checks.contradictions(target)) == []
    assert list(checks.files(target, elsewhere)) == []


def test_a_population_keeps_its_lineage(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """Copies, parents and what samplers remember come along."""
    fleet = Fleet(source)
    fleet.submit(populations.population(trials=4))
    while (held := fleet.ask()) is not None:
        populations.train(fleet, held)
    archives.save(source, store, "streets", file, artifacts=False)
    archives.load(target, elsewhere, file)
    seen, expected = _seen(target, "streets"), _seen(source, "streets")
    for each in (*seen["trials"], *expected["trials"]):
        each.pop("artifacts", None)  # they were left out
    assert seen == expected


def test_a_study_goes_on_elsewhere(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """It is paused, no lease is held, and once it is resumed each trial goes on at its step."""
    _train(source, store)
    running = Fleet(source).take("w3")
    assert running.last_step == 2
    archives.save(source, store, "streets", file)
    view = archives.load(target, elsewhere, file, name="moved")
    assert (view.name, view.state, view.reason) == ("moved", StudyState.PAUSED, "imported")
    assert view.spec.name == "moved"
    assert list(checks.contradictions(target)) == []
    fleet = Fleet(target)
    studies.change(target, "moved", StudyChange(state="running"))
    held = {each.trial: each for each in iter(lambda: fleet.ask(study="moved"), None)}
    assert held[running.trial].last_step == 2
    fleet.train(held[running.trial])
    assert overview.trial(target, "moved", running.trial).state == "completed"


def test_a_webhook_is_not_sent_the_past(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """What happened in the other database was its to tell."""
    webhooks.hold(target, "ops", "me")
    _train(source, store)
    archives.save(source, store, "streets", file)
    archives.load(target, elsewhere, file)
    (found,) = webhooks.unsent(target, "ops", ["study.changed", "trial.ended"])
    assert [each.data["state"] for each in found.events] == ["paused"]


def test_a_name_that_is_taken(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """Another one is asked for; the study may stand beside itself."""
    _train(source, store)
    archives.save(source, store, "streets", file)
    archives.load(target, elsewhere, file)
    with pytest.raises(Conflict, match="exists; give another name by --name"):
        archives.load(target, elsewhere, file)
    archives.load(target, elsewhere, file, name="streets-2")
    assert _seen(target, "streets-2")["steps"] == _seen(target, "streets")["steps"]


def _replaced(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Content], Content]:
    def spoil(content: Content) -> Content:
        changed = change(content.pop(name))
        return content if changed is None else {**content, name: changed}

    return spoil


def _without_weights(content: Content) -> Content:
    return {name: each for name, each in content.items() if not name.startswith("artifacts/")}


def _other_weights(content: Content) -> Content:
    spoiled = {name: b"w" * len(each) for name, each in content.items() if "artifacts/" in name}
    return {**content, **spoiled}


def _keyed(**changes: Any) -> Callable[[bytes], bytes]:
    def change(lines: bytes) -> bytes:
        first, _, rest = lines.partition(b"\n")
        return json.dumps({**json.loads(first), **changes}).encode() + b"\n" + rest

    return change


SPOILED: dict[str, tuple[Callable[[Content], Content], type[SegtuneError], str]] = {
    "no manifest": (_replaced("segtune.json", lambda _: None), Malformed, "it lacks segtune.json"),
    "newer": (_replaced("segtune.json", lambda text: json.dumps(
        {**json.loads(text), "revision": "9999"}).encode()), UnsupportedVersion, "9999"),
    "no trials": (_replaced("trials.jsonl", lambda _: None), Malformed, "trials.jsonl"),
    "a line less": (_replaced("reports.jsonl", lambda text: text.partition(b"\n")[2]),
                    Malformed, "there must be 6 rows of reports, and are 5"),
    "not JSON": (_replaced("events.jsonl", lambda text: text[:-9]), Malformed, "damaged"),
    "unknown key": (_replaced("trials.jsonl", _keyed(colour="red")), Malformed, "'colour'"),
    "wrong type": (_replaced("trials.jsonl", _keyed(step="x")), Malformed, "must have a int as"),
    "no zone": (_replaced("trials.jsonl", _keyed(created_at="2026-01-01T00:00:00")), Malformed,
                "has no zone"),
    "stranger": (_replaced("reports.jsonl", _keyed(trial=77)), Malformed, "belongs to 77"),
    "no files": (_without_weights, Malformed, "artifacts/"),
    "other files": (_other_weights, SegtuneError, "sha256"),
    "no study": (_replaced("study.jsonl", _keyed(spec={"name": "x"})), SegtuneError, ""),
}  # fmt: skip


def test_a_damaged_file_leaves_nothing_behind(
    source: Database, target: Database, store: ArtifactStore, elsewhere: ArtifactStore, file: Path
) -> None:
    """Whatever is wrong with it is named, and the database is as it was."""
    _train(source, store)
    archives.save(source, store, "streets", file)
    content = _content(file)
    before = _counts(target)
    for spoil, kind, said in SPOILED.values():
        with zipfile.ZipFile(file, "w") as archive:
            for name, each in spoil(dict(content)).items():
                archive.writestr(name, each)
        with pytest.raises(kind) as caught:
            archives.load(target, elsewhere, file)
        assert said in str(caught.value)
        assert _counts(target) == before
    file.write_bytes(b"my thesis")
    with pytest.raises(Malformed, match="not an exported study"):
        archives.load(target, elsewhere, file)
    with pytest.raises(Conflict, match="not an exported study"):
        archives.save(source, store, "streets", file)


def _counts(db: Database) -> tuple[int | None, int | None]:
    with db.reading() as session:
        return (
            session.scalar(select(func.count()).select_from(Study)),
            session.scalar(select(func.count()).select_from(Trial)),
        )


def test_a_missing_artifact_is_not_passed_over(
    source: Database, store: ArtifactStore, file: Path
) -> None:
    """The export fails, and leaves no file."""
    _train(source, store)
    next(store.folder.glob("??/*")).unlink()
    with pytest.raises(Conflict, match="segtune db check"):
        archives.save(source, store, "streets", file)
    with pytest.raises(NotFound):
        archives.save(source, store, "nothing", file)
    assert not file.exists()


def test_the_commands(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ExportedStudy, deleted, imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path))
    db = Database(sqlite_url)
    _train(db, ArtifactStore(tmp_path / "artifacts"))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["db", *arguments, "--url", sqlite_url])
        return done.exit_code, done.output

    code, output = run("export", "streets", "study.zip")
    assert code == 0
    assert "study streets with 3 trials and 2 files" in output
    code, output = run("import", "study.zip")
    assert code == 2
    assert "--name" in output
    for name, said in ("x/y z", "a name begins with"), ("42", "run-42"), ("", "not ''"):
        code, output = run("import", "study.zip", "--name", name)
        assert (code, said in output) == (2, True), output
    code, output = run("import", "study.zip", "--name", "again")
    assert (code, "study again" in output, "is paused" in output) == (0, True, True)
    db.dispose()
