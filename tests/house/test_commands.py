"""The commands that documents and compose tell people to run exist."""

import re
from functools import cache
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.house.tree import text, tracked
from tuner.cli.app import app

COMPOSE: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
PAGES = [path for path in tracked() if path.suffix == ".md" and path.parts[0] != "tests"]
WORD = re.compile(r"[a-z][a-z-]*")


@cache
def _help(words: tuple[str, ...]) -> str:
    """What `segtune WORDS --help` prints; an unknown command fails."""
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [*words, "--help"])

    assert 0 == done.exit_code, f"segtune {' '.join(words)}: {done.output}"
    return done.output


def _check(line: str) -> None:
    """Assert that a `segtune …` line names a command that exists, and options that it has."""
    words = line.split()[1:]
    count = next((at for at, word in enumerate(words) if not WORD.fullmatch(word)), len(words))
    depth = 2 if words[0] in {"db", "import", "maintenance", "owners", "token"} else 1
    printed = _help(tuple(words[: min(count, depth)]))
    options = [word.split("=")[0] for word in words if word.startswith("--")]

    assert [] == [option for option in options if option not in printed]


def _quoted() -> list[str]:
    """Every `segtune …` of a document: at the start of a code line, or in back-ticks."""
    found = set()
    for page in PAGES:
        found |= set(re.findall(r"`segtune ([a-z][^`\n]*)`", text(page)))
        for block in re.findall(r"```bash\n(.*?)```", text(page), flags=re.DOTALL):
            found |= set(re.findall(r"^ *segtune ([a-z][^#|>\n]*)", block, flags=re.MULTILINE))
    return sorted({line.strip() for line in found})


@pytest.mark.parametrize("line", _quoted())
def test_a_documented_command_exists(line: str) -> None:
    """Every `segtune …` in the documents is a command, with the options it names."""
    _check(f"segtune {line}")


@pytest.mark.parametrize("service", sorted(set(COMPOSE["services"]) - {"postgres"}))
def test_compose_runs_the_commands_that_people_run(service: str) -> None:
    """Every service of ours runs a plain `segtune …` command."""
    command = COMPOSE["services"][service]["command"]

    assert command.startswith("segtune ")
    _check(command)


def test_compose_services_are_checked_for_health() -> None:
    """Whatever others wait for says when it is ready."""
    awaited = {
        name
        for service in COMPOSE["services"].values()
        for name, wish in service.get("depends_on", {}).items()
        if wish["condition"] == "service_healthy"
    }

    assert {"postgres", "server"} == awaited
    assert all("healthcheck" in COMPOSE["services"][name] for name in awaited)


def test_every_make_target_of_the_documents_exists() -> None:
    """`make …` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", text(page), re.M)
    }

    assert {"demo", "test"} <= named <= targets
