"""What opens an SQLite file closes it again, and leaves nothing to the garbage collector."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from typer.testing import CliRunner

from api.settings import Settings
from tests.api.samples import running, study, train
from tests.store.samples import spec
from tuner.cli.app import app
from tuner.cli.import_.optuna_source import load
from tuner.errors import NotFound, StorageError
from tuner.service import studies
from tuner.store.engine import UNPOOLED, Database
from tuner.store.migrate import upgrade
from tuner.store.optuna_storage import OptunaStorage


class _Watched(sqlite3.Connection):
    """A connection that knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        """Close, and note it."""
        super().close()
        self.is_closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[_Watched]:
    """Every connection that is opened."""
    found: list[_Watched] = []
    connect = sqlite3.connect

    def watched(*args: Any, **options: Any) -> _Watched:
        found.append(connect(*args, **{**options, "factory": _Watched}))
        return found[-1]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", watched)
    return found


def _migrate(folder: Path) -> None:
    upgrade(f"sqlite:///{folder / 'new.db'}")
    upgrade(f"sqlite:///{folder / 'new.db'}")


def _fail_to_migrate(folder: Path) -> None:
    (folder / "garbage.db").write_bytes(b"garbage " * 200)
    with pytest.raises(StorageError):
        upgrade(f"sqlite:///{folder / 'garbage.db'}")


def _ask(folder: Path) -> None:
    for command in ("upgrade", "current"):
        url = f"sqlite:///{folder / 'new.db'}"
        assert CliRunner().invoke(app, ["db", command, "--url", url]).exit_code == 0


def _use(folder: Path) -> None:
    upgrade(url := f"sqlite:///{folder / 'new.db'}")
    database = Database(url)
    studies.submit(database, spec())
    with suppress(NotFound):
        studies.delete(database, "nothing")
    database.dispose()


def _serve(folder: Path) -> None:
    with running(Settings(_env_file=None, home=folder)) as client:
        client.post("/api/v1/studies", json=study())
        train(client)
        assert client.get("/studies/1").status_code == 200


def _look_with_optuna(folder: Path) -> None:
    upgrade(url := f"sqlite:///{folder / 'new.db'}")
    storage = OptunaStorage(url)
    assert storage.get_all_studies() == []
    storage.remove_session()


def _read_of_optuna(folder: Path) -> None:
    url = f"sqlite:///{folder / 'optuna.db'}"
    optuna.create_study(study_name="old", storage=RDBStorage(url, engine_kwargs=dict(UNPOOLED)))
    assert load(url, "old").get_trials() == []
    with pytest.raises(NotFound):
        load(url, "other")


@pytest.mark.parametrize(
    "action",
    [_migrate, _fail_to_migrate, _ask, _use, _serve, _look_with_optuna, _read_of_optuna],
)
def test_every_connection_is_closed(
    action: Callable[[Path], None], opened: list[_Watched], tmp_path: Path
) -> None:
    """Commands, servers, migrations and views of Optuna close all that they open."""
    action(tmp_path)

    assert opened
    assert [connection for connection in opened if not connection.is_closed] == []
