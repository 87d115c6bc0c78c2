"""The migrations make exactly the tables of the models, on both databases, and lose nothing."""

import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from tests.clones import PostgresServer
from tests.store.samples import NOW, spec, study_row, trial_row
from tuner.errors import StorageError
from tuner.store import artifacts
from tuner.store.artifacts import Stored, Upload
from tuner.store.engine import Database
from tuner.store.migrate import current, head, is_current, upgrade
from tuner.store.tables import (
    Artifact,
    Attempt,
    AttemptLog,
    Base,
    Event,
    IdempotencyKey,
    Report,
    Study,
    Trial,
    Worker,
)

ROOT = Path(__file__).parents[2]
HEAD = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", "{head}"
def downgrade(): pass
def upgrade():
"""
COPY = (
    HEAD.format(head=head())
    + """
    with op.batch_alter_table("studies", recreate="always") as studies:
        studies.add_column(sa.Column("note", sa.Text(), nullable=True))
"""
)
FAIL = (
    HEAD.format(head=head())
    + """
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    1 / 0
"""
)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create(template="template0")
    yield url
    server.drop(url)


def test_migrations_make_the_models(database: Database) -> None:
    """Alembic finds no difference between the migrated tables and the models."""
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_name_constraints_as_the_models_do(database: Database) -> None:
    """Unique constraints and foreign keys carry the names of the naming convention."""
    found = inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        names = {key["name"] for key in found.get_foreign_keys(table.name)}
        names |= {key["name"] for key in found.get_unique_constraints(table.name)}
        named = table.constraints - {table.primary_key}
        assert names == {constraint.name for constraint in named}


def test_migrations_make_the_indexes_of_the_models(sqlite_url: str, tmp_path: Path) -> None:
    """Indexes are equal as SQL text, with the conditions that `compare_metadata` passes over."""
    modelled = f"sqlite:///{tmp_path}/modelled.db"
    found = []
    for url in (sqlite_url, modelled):
        db = Database(url)
        with db.transaction() as session:
            Base.metadata.create_all(session.connection())
            rows = session.execute(text("SELECT sql FROM sqlite_master WHERE type = 'index'"))
            found.append(sorted(row.sql for row in rows if row.sql))
        db.dispose()
    assert found[0] == found[1]


def test_ids_are_never_used_twice(sqlite_url: str) -> None:
    """SQLite numbers the rows that others refer to with AUTOINCREMENT, as the models say."""
    db = Database(sqlite_url)
    numbered = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
    with db.reading() as session:
        names = set(session.scalars(numbered))
    db.dispose()
    assert names == {
        table.name
        for table in Base.metadata.sorted_tables
        if table.dialect_options["sqlite"]["autoincrement"]
    }


def test_upgrade_knows_where_it_stands(bare_url: str) -> None:
    """A database goes from no revision to the newest, and a second upgrade changes nothing."""
    db = Database(bare_url)
    assert current(db) is None
    upgrade(bare_url)
    upgrade(bare_url)
    assert current(db) == head()
    assert is_current(db)
    db.dispose()


def test_servers_that_start_together_migrate_once(bare_url: str) -> None:
    """Three processes that upgrade one empty database all succeed."""
    spawn = multiprocessing.get_context("spawn")
    servers = [spawn.Process(target=upgrade, args=(bare_url,)) for _ in range(3)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    db = Database(bare_url)
    assert [server.exitcode for server in servers] == [0, 0, 0]
    assert is_current(db)
    db.dispose()


def test_threads_that_upgrade_together_wait_for_each_other(bare_url: str) -> None:
    """Alembic has one context per process; threads take turns with it."""
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(upgrade, bare_url) for _ in range(4)]
    assert [future.exception() for future in done] == [None] * 4


def test_a_newer_database_is_refused(database_url: str) -> None:
    """A database of a later release gets a message that names its revision, and is left alone."""
    db = Database(database_url)
    with db.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="revision 9999"):
        upgrade(database_url)
    assert current(db) == "9999"
    db.dispose()


def test_downgrade_leaves_nothing(database_url: str) -> None:
    """Going back to before the first migration removes every table of ours."""
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["url"] = database_url
    command.downgrade(config, "base")
    db = Database(database_url)
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    db.dispose()


def test_there_is_one_head() -> None:
    """Two migrations with the same parent would leave `upgrade head` without an answer."""
    assert len(ScriptDirectory(str(ROOT / "migrations")).get_heads()) == 1


def test_migrations_are_numbered() -> None:
    """Files are named by their number, which is their revision, and follow one another."""
    paths = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    numbers = [path.name.split("_")[0] for path in paths]
    assert numbers == [f"{index:04d}" for index in range(1, len(paths) + 1)]
    assert numbers[-1] == head()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "migrations" / "versions").glob("*.py")), ids=lambda path: path.stem
)
def test_a_migration_imports_no_model(path: Path) -> None:
    """A migration tells history; models tell the present."""
    assert "tuner" not in path.read_text()


def test_a_password_never_reaches_a_message(tmp_path: Path) -> None:
    """A database that does not answer is named without its password."""
    url = f"postgresql://user:hush@/none?host={tmp_path}"
    with pytest.raises(StorageError) as caught:
        upgrade(url)
    assert "hush" not in str(caught.value)


def test_copying_a_table_keeps_its_children(sqlite_url: str, tmp_path: Path) -> None:
    """A later migration that copies and drops `studies` deletes no trial with it."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder)
    (folder / "versions" / "9999_copy.py").write_text(COPY)
    db = Database(sqlite_url)
    with db.transaction() as session:
        study = study_row(spec("kept"))
        session.add(study)
        session.flush()
        session.add(trial_row(study))
    db.dispose()
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = sqlite_url
    command.upgrade(config, "head")
    db = Database(sqlite_url)
    with db.reading() as session:
        assert session.scalars(select(Trial.number)).all() == [0]
        assert session.scalars(select(Study.name)).all() == ["kept"]
    db.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    """All of an upgrade is one transaction: a failure half way undoes its first half."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder)
    (folder / "versions" / "9999_fail.py").write_text(FAIL)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = database_url
    with pytest.raises(ZeroDivisionError):
        command.upgrade(config, "head")
    db = Database(database_url)
    assert is_current(db)
    assert "half" not in inspect(db.engine).get_table_names()
    db.dispose()


def test_trials_of_the_release_before_learn_their_data(database_url: str) -> None:
    """What the provenance says becomes the version; what is no fingerprint there does not."""
    print_ = "a" * 64
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["url"] = database_url
    db = Database(database_url)
    with db.transaction() as session:
        study = study_row(spec("old"))
        session.add(study)
        session.flush()
        for number, data in enumerate(({"data": print_}, {"data": {"train": 3}}, {})):
            session.add(trial_row(study, number, provenance=data))
    command.downgrade(config, "0001")
    command.upgrade(config, "head")
    with db.reading() as session:
        found = session.scalars(select(Trial.data_version).order_by(Trial.number)).all()
    db.dispose()
    assert found == [print_, None, None]


def test_lineage_of_the_release_before_becomes_columns(database_url: str) -> None:
    """Confirmations and copies get theirs; what cannot be one, and any other trial, has none."""
    rows: list[tuple[str, Any]] = [
        ("sampler", {"confirms": 9, "copies": 9, "seed": 9}),
        ("confirm", {"confirms": 0, "seed": 0}),
        ("confirm", {"confirms": 0, "seed": 2}),
        ("copy", {"copies": 1, "generation": 4}),
        ("copy", {"copies": "1"}),
        ("confirm", {"confirms": True, "seed": 0}),
        ("copy", {"copies": 2**40}),
        ("copy", []),
        ("copy", {}),
    ]
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["url"] = database_url
    db = Database(database_url)
    with db.transaction() as session:
        study = study_row(spec("old"))
        session.add(study)
        session.flush()
        for number, (source, attrs) in enumerate(rows):
            session.add(trial_row(study, number, source=source, attrs=attrs))
    command.downgrade(config, "0003")
    command.upgrade(config, "head")
    with db.reading() as session:
        query = select(Trial.parent, Trial.replica, Trial.attrs).order_by(Trial.number)
        found = [tuple(row) for row in session.execute(query)]
    db.dispose()
    none = (None, None)
    lineage = [none, (0, 0), (0, 2), (1, None), none, none, none, none, none]
    assert [(*pair, attrs) for pair, (_, attrs) in zip(lineage, rows, strict=True)] == found


def test_the_release_before_may_write_leases_and_workers(database_url: str) -> None:
    """It names no column of how workers are, and what it does not know of is empty."""
    db = Database(database_url)
    with db.transaction() as session:
        study = study_row(spec("old"))
        session.add(study)
        session.flush()
        session.add(trial_row(study))
        session.flush()
        now = "'2026-01-01 12:00:00.000000'"
        session.execute(
            text(
                "INSERT INTO workers (id, name, capabilities, trials_done, first_seen_at, "
                f"last_seen_at) VALUES (1, 'w1', '{{}}', 0, {now}, {now})"
            )
        )
        session.execute(
            text(
                "INSERT INTO attempts (id, trial_id, number, worker_id, token_hash, expires_at, "
                "started_at) SELECT 'a', id, 1, 1, 'x', "
                f"{now}, {now} FROM trials"
            )
        )
        session.execute(text(f"UPDATE attempts SET ended_at = {now}, outcome = 'lost'"))
    with db.reading() as session:
        attempt = session.execute(select(Attempt.renewed_at, Attempt.usage)).one()
        drained_at = session.scalar(select(Worker.drained_at))
    db.dispose()
    assert (*attempt, drained_at) == (None, None, None)


def test_the_release_before_may_write_to_the_new_tables(database_url: str) -> None:
    """It does not name the columns of the newest migration: they are empty then."""
    db = Database(database_url)
    before = ", ".join(
        column.name for column in Trial.__table__.c if column.name not in {"parent", "replica"}
    )
    with db.transaction() as session:
        study = study_row(spec("old"))
        session.add(study)
        session.flush()
        session.add(trial_row(study))
        session.flush()
        session.execute(text("CREATE TEMPORARY TABLE told AS SELECT * FROM trials"))
        session.execute(text("DELETE FROM trials"))
        session.execute(text(f"INSERT INTO trials ({before}) SELECT {before} FROM told"))
    with db.reading() as session:
        found = session.execute(select(Trial.number, Trial.parent, Trial.replica)).all()
    db.dispose()
    assert [(0, None, None)] == [tuple(row) for row in found]


def test_the_release_before_may_store_files(database_url: str) -> None:
    """It knows no details, and its rows have none."""
    db = Database(database_url)
    before = ", ".join(column.name for column in Artifact.__table__.c if column.name != "details")
    with db.transaction() as session:
        study = study_row(spec("old"))
        session.add(study)
        session.flush()
        trial = trial_row(study)
        session.add(trial)
        session.flush()
        artifacts.add(session, trial, Upload("a", "log", None, Stored("a" * 64, 1)), now=NOW)
        session.execute(text("CREATE TEMPORARY TABLE told AS SELECT * FROM artifacts"))
        session.execute(text("DELETE FROM artifacts"))
        session.execute(text(f"INSERT INTO artifacts ({before}) SELECT {before} FROM told"))
    with db.reading() as session:
        found = session.execute(select(Artifact.name, Artifact.details)).all()
    db.dispose()
    assert [("a", None)] == [tuple(row) for row in found]


def test_hidden_studies_go_with_the_way_back(database_url: str) -> None:
    """The release before cannot restore them: they are removed whole, and nothing else is."""
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["url"] = database_url
    db = Database(database_url)
    with db.transaction() as session:
        session.add(Worker(id=1, name="w1", capabilities={}, first_seen_at=NOW, last_seen_at=NOW))
        hidden = {"name": "~2", "state": "cancelled", "deleted_at": NOW, "deleted_name": "old"}
        for study in (study_row(spec("kept")), study_row(spec("old"), **hidden)):
            session.add(study)
            session.flush()
            trial = trial_row(study)
            session.add(trial)
            session.flush()
            artifacts.add(session, trial, Upload("a", "log", None, Stored("a" * 64, 1)), now=NOW)
            shared = {"study_id": study.id, "created_at": NOW}
            session.add(Event(seq=1, kind="study.created", data={}, **shared))
            session.add(IdempotencyKey(key=study.name, body_hash="x", **shared))
            report = Report(trial_id=trial.id, step=1, attempt=1, metrics={}, seconds=1.0, **shared)
            lease = {"number": 1, "worker_id": 1, "token_hash": "x", "expires_at": NOW}
            attempt = Attempt(id=study.name, trial_id=trial.id, started_at=NOW, **lease)
            session.add_all([report, attempt])
            session.flush()
            session.add(AttemptLog(attempt_id=study.name, text="x", updated_at=NOW))

    command.downgrade(config, "0007")

    tables = ("studies", "trials", "reports", "attempts", "artifacts", "events", "idempotency_keys")
    with db.reading() as session:
        counts = {name: session.scalar(text(f"SELECT count(*) FROM {name}")) for name in tables}
        names = session.scalars(text("SELECT name FROM studies")).all()
    assert (counts, names) == (dict.fromkeys(tables, 1), ["kept"])
    command.upgrade(config, "head")
    db.dispose()
