"""What keeps `segtune optuna-dashboard` from starting, and how it serves."""

import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from tuner.cli.app import app
from tuner.cli.optuna_dashboard.server import listen
from tuner.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


def complaint(*arguments: str) -> str:
    """The one line on standard error that the command ends with."""
    result = CliRunner().invoke(app, ["optuna-dashboard", *arguments])
    assert result.exit_code in {1, 2}, result.output
    return result.stderr.removesuffix("\n")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra a sentence says what to run."""
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    line = complaint("streets")

    assert line.startswith("error: segtune optuna-dashboard needs the package optuna-dashboard")
    assert line.endswith("pip install 'segtune[server,optuna-dashboard]'")


@pytest.mark.parametrize("study", ["roads", "7"])
def test_a_study_that_is_not_there(study: str, sqlite_url: str) -> None:
    """The study is named."""
    line = complaint(study, "--url", sqlite_url)

    assert line.startswith("error: ")
    assert study in line


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    """No database is made."""
    line = complaint("streets", "--url", f"sqlite:///{tmp_path / 'none.db'}")

    assert "segtune db upgrade" in line
    assert not (tmp_path / "none.db").exists()


def hello(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    """A WSGI application that says who serves it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SERVER_NAME"].encode()]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_it_listens_on_any_spelling_of_loopback(host: str) -> None:
    """IPv4, IPv6 with and without brackets, and a name."""
    with listen(hello, host, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        name = f"[{host}]" if ":" in host and "[" not in host else host
        answer = httpx.get(f"http://{name}:{server.server_port}/", trust_env=False)
        server.shutdown()
        thread.join()

    assert answer.status_code == 200


def test_a_port_that_is_taken() -> None:
    """The port is named, and the option that chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=rf"port {port} on 127.0.0.1 is taken.*--port"):
            listen(hello, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_that_is_not_of_this_machine(
    host: str,
) -> None:
    """A host that cannot be listened on is named."""
    with pytest.raises(InvalidInput, match=r"--host: cannot listen on .*an address of this"):
        listen(hello, host, 0)


def test_what_others_could_read_is_said(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an address that others reach, a warning says that there is no token."""
    monkeypatch.setattr("tuner.service.overview.study_id", lambda *_: 1)
    monkeypatch.setattr("socketserver.BaseServer.serve_forever", lambda *_: None)
    result = CliRunner().invoke(
        app,
        ["optuna-dashboard", "streets", "--url", sqlite_url, "--host", "0.0.0.0", "--port", "0"],
    )

    assert result.exit_code == 0, result.output
    assert "no token" in result.stderr
    assert "/dashboard/studies/1" in result.stdout
