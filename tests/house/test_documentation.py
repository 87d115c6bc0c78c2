"""What exists is documented, and what is documented exists."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import api.errors
import tuner.errors
from api.settings import Settings
from tests.house.tree import ROOT, sources, text
from tuner.configs import catalog
from tuner.errors import SegtuneError
from tuner.spec.events import EventKind
from tuner.spec.kinds import ArtifactKind, DeviceKind, ErrorKind
from tuner.spec.messages import Unfitness
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

HEADINGS = ["Context", "Decision", "Consequences", "Rejected", "Held by"]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def _variables(settings: type[BaseSettings]) -> set[str]:
    """The environment variables that a settings class reads."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        (str(field.validation_alias) if field.validation_alias else prefix + name).upper()
        for name, field in settings.model_fields.items()
    }


def _described(page: str, pattern: str) -> set[str]:
    """The names that open a table row of a page."""
    return set(re.findall(rf"^\| `({pattern})`", text(page), flags=re.MULTILINE))


@pytest.mark.parametrize("settings", [Settings, WorkerSettings, FleetSettings])
def test_every_setting_is_documented(settings: type[BaseSettings]) -> None:
    """Each setting has a row in docs/configuration.md."""
    described = _described("docs/configuration.md", "SEGTUNE_[A-Z_]+")

    assert set() == _variables(settings) - described


def test_every_documented_setting_exists() -> None:
    """docs/configuration.md describes nothing that no process reads."""
    described = _described("docs/configuration.md", "SEGTUNE_[A-Z_]+")

    known = [_variables(settings) for settings in (Settings, WorkerSettings, FleetSettings)]
    assert set() == described.difference(*known)


def test_every_route_is_documented() -> None:
    """docs/api.md has a row for each route of the API, and each row is a route."""
    paths = json.loads(text("tests/api/openapi.json"))["paths"]
    routes = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in paths.items()
        for method in methods
    }

    assert routes == _described("docs/api.md", r"[A-Z]+ /\S+")


def test_every_kind_of_event_is_documented() -> None:
    """docs/api.md has a row for each kind of event, and each row is a kind."""
    assert set(EventKind) == _described("docs/api.md", r"(?:study|trial)\.\w+")


def _listed(page: str, heading: str) -> set[str]:
    """The names that open the rows of the table whose first column has this heading."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|-.*\n((?:\|.*\n)+)", text(page), re.MULTILINE)
    return set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("`error_kind`", {*ErrorKind, *Unfitness} - {Unfitness.TRAINER}),
        ("artifact `kind`", set(ArtifactKind)),
        ("device `kind`", set(DeviceKind)),
    ],
)
def test_every_closed_vocabulary_is_documented(heading: str, kinds: set[str]) -> None:
    """docs/api.md lists the kinds that a worker says, and no other."""
    assert kinds == _listed("docs/api.md", heading)


def test_the_api_takes_every_kind_of_artifact() -> None:
    """What a worker may upload is what a trial can have."""
    routes = json.loads(text("tests/api/openapi.json"))["paths"]
    (kind,) = (
        parameter["schema"]["enum"]
        for parameter in routes["/api/v1/leases/{lease}/artifacts/{name}"]["put"]["parameters"]
        if parameter["name"] == "kind"
    )

    assert [*ArtifactKind] == kind


def test_a_kind_is_spelled_in_one_file() -> None:
    """What is said of an error or an event is a member of its enum, never a text."""
    plain = {ErrorKind.DATA, Unfitness.DEVICE, Unfitness.MACHINE, Unfitness.TRAINER}
    spoken = {*EventKind, *ErrorKind, *Unfitness} - plain
    loose = {
        (str(path), node.value)
        for path in sources()
        if path.parts[0] in {"tuner", "api", "workers"} and path.parts[1] != "spec"
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.Constant) and node.value in spoken
    }

    assert set() == loose


def test_what_pydantic_says_is_put_into_words_in_one_file() -> None:
    """Only `tuner/spec/validation.py` reads the messages of pydantic's errors."""
    reading = {str(path) for path in sources() if '["msg"]' in text(path)}

    assert reading == {"tuner/spec/validation.py"}


def _errors() -> dict[str, type[SegtuneError]]:
    """Every error class of ours by name."""
    return {
        name: value
        for module in (tuner.errors, api.errors)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, SegtuneError)
    }


def test_every_error_is_documented() -> None:
    """Each error class has a row in docs/errors.md, and each row a class."""
    assert set(_errors()) == _described("docs/errors.md", r"\w+")


def test_documented_statuses_are_those_that_are_sent() -> None:
    """A status in docs/errors.md is the one of the table in api/errors.py."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text("docs/errors.md"), flags=re.MULTILINE)
    kinds = _errors()

    assert {name: api.errors.look_up(kinds[name])[0] for name, _ in rows} == {
        name: int(status) for name, status in rows
    }


@pytest.mark.parametrize("kind", catalog.FOLDERS)
def test_every_component_says_what_it_is(kind: str) -> None:
    """Each component file parses, and its docstring opens with a one-line summary."""
    found = catalog.components(kind)
    silent = [name for name, component in found.items() if not component.summary.endswith(".")]

    assert found
    assert [] == silent


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_decision_record_has_its_five_headings(path: Path) -> None:
    """A record has context, decision, consequences, rejected options and what holds it."""
    assert HEADINGS == re.findall(
        r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE
    )


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_what_a_decision_record_names_exists(path: Path) -> None:
    """The tests, rooms and benchmarks that a record names are there."""
    named = re.findall(
        r"`((?:tests|benchmarks|tuner|api|workers|migrations)/[\w./-]+)`",
        path.read_text(encoding="utf-8"),
    )

    assert [] == [name for name in named if not (ROOT / name).exists()]


def test_decision_records_are_numbered_and_listed() -> None:
    """Records are numbered without a gap, and CONTRIBUTING.md links to each."""
    numbers = [int(path.name[:4]) for path in RECORDS]
    unlisted = [path.name for path in RECORDS if path.name not in text("CONTRIBUTING.md")]

    assert list(range(1, len(RECORDS) + 1)) == numbers
    assert [] == unlisted


def test_the_changelog_opens_with_what_is_unreleased() -> None:
    """The first section of CHANGELOG.md is `Unreleased`."""
    sections = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), flags=re.MULTILINE)

    assert "Unreleased" == sections[0]
