"""Starting with wrong settings: one line that names the thing and a remedy, and no traceback."""

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli.app import app
from tuner.errors import StorageError
from tuner.store import engine
from tuner.store.migrate import upgrade
from tuner.store.optuna_storage import OptunaStorage

NOWHERE = "postgresql://ann:hush@127.0.0.1:1/tune"
STARTING = (("serve", "--port", "0"), ("up", "--port", "0", "--workers", "0"))
ASKING = (("db", "current"), ("db", "upgrade"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without a `.env`, and a home in it; no command's log handler stays behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SEGTUNE_LOG_LEVEL", "error")  # what is logged is no complaint
    _quieten()
    yield
    _quieten()


def _quieten() -> None:
    """Take away what a command logs to: the standard error of a test that has ended."""
    root = logging.getLogger()
    root.handlers[:] = [each for each in root.handlers if type(each) is not logging.StreamHandler]


def _complaint(*arguments: str) -> str:
    """The one line that a command ends with."""
    result = CliRunner().invoke(app, arguments)
    line = result.stderr.removesuffix("\n")

    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {1, 2}
    assert line.startswith("error: ")
    assert "\n" not in line, line
    return line


@pytest.mark.parametrize("command", STARTING + ASKING, ids=" ".join)
@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (NOWHERE, ("postgresql://ann:***@127.0.0.1:1/tune did not answer", "SEGTUNE_DATABASE_URL")),
        ("mysql://u:hush@h/x", ("'mysql' is not supported", "postgresql://user@host/name")),
        ("postgresql+psycopg2://u@h/x", ("'postgresql+psycopg2' is not supported",)),
        ("sqlite+other:///x.db", ("'sqlite+other' is not supported",)),
        ("postgresql://u:hush@h:port/x", ("'postgresql://u:***@h:port/x' is not", "sqlite:///")),
        ("postgresql://u:hu/hush@h:port/x", ("'postgresql://u:***@h:port/x' is not",)),
        ("postgresql://h:port/x?password=hush", ("password=***' is not",)),
        ("segtune.db", ("'segtune.db' is not a database URL", "sqlite:///path")),
        ("sqlite:///garbage.db", ("garbage.db", "is not a database", "move it away")),
        ("sqlite:///folder", ("folder", "unable to open", "must be a file")),
        ("sqlite:///garbage.db/x.db", ("garbage.db", "cannot be made", "SEGTUNE_DATABASE_URL")),
        ("sqlite://", ("in-memory SQLite", "give a path")),
        ("sqlite:///newer.db", ("newer.db is at revision 9999", "newer one")),
    ],
)
def test_a_database_that_does_not_open(
    url: str, parts: tuple[str, ...], command: tuple[str, ...], tmp_path: Path
) -> None:
    """Every command that opens it names the database, without its password, and what to do."""
    (tmp_path / "garbage.db").write_bytes(b"garbage " * 200)
    (tmp_path / "folder").mkdir()
    if "newer" in url:
        upgrade(f"sqlite:///{tmp_path / 'newer.db'}")
        with closing(sqlite3.connect(tmp_path / "newer.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
    line = _complaint_about(url, command)

    assert [part for part in parts if part not in line] == []
    assert "hush" not in line


def _complaint_about(url: str, command: tuple[str, ...]) -> str:
    if command in ASKING:
        return _complaint(*command, "--url", url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUNE_DATABASE_URL", url)
        return _complaint(*command)


@pytest.mark.parametrize("command", STARTING, ids=" ".join)
def test_a_driver_that_is_not_installed(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is named with the extra that brings it."""

    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(engine, "create_engine", missing)
    line = _complaint_about(NOWHERE, command)

    assert "No module named 'psycopg'; install segtune[server]" in line


@pytest.mark.parametrize("command", STARTING, ids=" ".join)
@pytest.mark.parametrize("home", ["file", "file/below", "/proc/nobody"])
def test_a_home_that_cannot_be_written(home: str, command: tuple[str, ...], tmp_path: Path) -> None:
    """A file in the folder's place, or a place where nothing can be made, is named."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGTUNE_HOME", home)
        line = _complaint(*command)

    assert f"the home folder {(tmp_path / home).absolute()} cannot be written: " in line
    assert "--home or SEGTUNE_HOME" in line


@pytest.mark.parametrize("command", STARTING, ids=" ".join)
def test_several_processes_on_sqlite(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused before anything is made, with the database that they need."""
    monkeypatch.setenv("SEGTUNE_PROCESSES", "2")
    line = _complaint(*command)

    assert "SEGTUNE_PROCESSES: 2 server processes need PostgreSQL" in line
    assert not (Path.cwd() / "home").exists()


@pytest.mark.parametrize("count", ["0", "65", "two"])
def test_a_number_of_processes_that_cannot_be(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with the setting's name."""
    monkeypatch.setenv("SEGTUNE_PROCESSES", count)

    assert "SEGTUNE_PROCESSES" in _complaint("serve", "--port", "0")


@pytest.mark.parametrize("command", STARTING, ids=" ".join)
def test_a_full_disk(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes nothing more is found before the server starts."""

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)

    assert "cannot be written: No space left on device; make room" in _complaint(*command)


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_port_that_is_taken(command: str) -> None:
    """The port is named, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = _complaint(command, "--port", str(port))

    assert str(port) in line
    assert "choose another" in line


def test_an_address_that_is_not_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that cannot be listened on is not told as a port that is taken."""
    monkeypatch.setenv("SEGTUNE_TOKEN", "secret")
    line = _complaint("serve", "--host", "192.0.2.1", "--port", "0")

    assert "SEGTUNE_HOST: cannot listen on 192.0.2.1:0" in line
    assert "give an address of this machine" in line


@pytest.mark.parametrize("command", STARTING, ids=" ".join)
def test_an_address_for_others_needs_a_token(command: tuple[str, ...]) -> None:
    """Before anything starts."""
    assert "SEGTUNE_TOKEN" in _complaint(*command, "--host", "0.0.0.0")


@pytest.mark.parametrize("command", ["serve", "up", "db current", "worker", "studies"])
@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"SEGTUNE_PORT=http\nSEGTUNE_HANG_SECONDS=x\nSEGTUNE_SERVER=here\n", "SEGTUNE_"),
        (b"SEGTUNE_NAME=\xff\xfe\n", ".env: the settings in it cannot be read"),
    ],
)
def test_a_wrong_setting_in_a_file(command: str, text: bytes, part: str, tmp_path: Path) -> None:
    """The variable is named as it is written, or the file that cannot be read."""
    (tmp_path / ".env").write_bytes(text)
    result = CliRunner().invoke(app, command.split())

    assert result.exit_code == 2
    assert part in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "address", ["here", "localhost:8000", "ftp://h", "http://", "http://h:port", "http://h:99999",
                "http://[::1", "http://a b", "http://h/?x=1"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["worker", "studies", "watch x"])
def test_an_address_that_is_none(address: str, command: str) -> None:
    """A wrong address is refused at once, not retried for ever."""
    line = _complaint(*command.split(), "--server", address)

    assert f"SEGTUNE_SERVER: '{address}'" in line
    assert "http://127.0.0.1:8000" in line


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_demo_needs_a_folder(folder: str, tmp_path: Path) -> None:
    """The demo names a folder that it cannot use."""
    (tmp_path / "file").write_text("")
    line = _complaint("demo", "--folder", folder)

    assert folder in line
    assert "--folder" in line


def test_a_worker_needs_a_home(tmp_path: Path) -> None:
    """A worker names the folder that it cannot write to."""
    (tmp_path / "home").write_text("")

    assert str(tmp_path / "home") in _complaint("worker", "--device", "cpu")


def test_asking_makes_no_database(tmp_path: Path) -> None:
    """`db current` and Optuna's view look, and make no file."""
    url = f"sqlite:///{tmp_path / 'none.db'}"
    result = CliRunner().invoke(app, ["db", "current", "--url", url])
    with pytest.raises(StorageError, match="segtune db upgrade"):
        OptunaStorage(url)

    assert (result.exit_code, "segtune db upgrade" in result.stdout) == (1, True)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("chosen", [None, "3"])
def test_a_server_counts_on_one_core_unless_told(
    chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draws of several studies share the cores, instead of threads of one draw."""
    monkeypatch.setenv("OMP_NUM_THREADS", chosen or "")
    if chosen is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    _complaint("serve", "--port", "99999")
    assert os.environ["OMP_NUM_THREADS"] == (chosen or "1")
