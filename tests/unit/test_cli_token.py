"""`segtune token`: on a database by itself, and what it says of wrong input."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tuner.cli.app import app
from tuner.service import tokens
from tuner.spec.access import TokenScope
from tuner.store.engine import Database


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `segtune token …` on a database; gives its result."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["token", *words, "--url", sqlite_url])


def test_only_the_secret_is_on_standard_output(run: Any, sqlite_url: str) -> None:
    """So that `SECRET=$(segtune token create …)` does what it says."""
    done = run("create", "ada", "--scope", "submit", "--scope", "worker", "--owner", "lab")
    db = Database(sqlite_url)
    found = tokens.known(db).secrets[tokens.digest(done.stdout.strip())]
    db.dispose()

    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    assert found.caller.owner == "lab"
    assert found.caller.scopes == {TokenScope.READ, TokenScope.SUBMIT, TokenScope.WORKER}
    assert "good for ever" in done.stderr


def test_the_list_tells_no_secret(run: Any) -> None:
    """Name, owner, scopes, state; and a rotated or revoked one says so."""
    secret = run("create", "ada", "--scope", "read", "--days", "30").stdout.strip()
    run("rotate", "ada", "--overlap", "2")
    assert "revoked" in run("revoke", "ada").output
    listed = run("list").output

    assert secret not in listed
    assert "ada" in listed
    assert "revoked" in listed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "a b", "--scope", "read"), "name"),
        (("create", "ada", "--scope", "root"), "scopes"),
        (("create", "ada", "--scope", "read", "--days", "-1"), "days"),
        (("rotate", "nobody"), "no token is called 'nobody'"),
        (("revoke", "nobody"), "no token is called 'nobody'"),
        (("revoke", "ada", "--server", "http://127.0.0.1:1"), "cannot both be given"),
    ],
)
def test_wrong_input_is_a_line(run: Any, words: tuple[str, ...], told: str) -> None:
    """Never a traceback, and exit code 2."""
    done = run(*words)

    assert done.exit_code == 2, done.output
    assert told in done.output


def test_an_empty_list_says_what_to_do(run: Any) -> None:
    """The command that makes the first token."""
    assert "segtune token create" in run("list").output
