"""optuna-dashboard shows our studies, opens at one, and changes nothing."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna_dashboard
import pytest
from sqlalchemy import select

from tests.store.samples import spec
from tests.store.test_optuna_storage import COURSES, fill
from tuner.cli.optuna_dashboard.shown import StudyShown
from tuner.store.engine import Database
from tuner.store.optuna_storage import OptunaStorage
from tuner.store.tables import Base

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class Dashboard:
    """Optuna's dashboard as our command shows it, in this process and without a socket."""

    def __init__(self, storage: OptunaStorage, study_id: int, *, only_loopback: bool) -> None:
        self.app: Any = optuna_dashboard.wsgi(storage)
        page = f"/dashboard/studies/{study_id}"
        self._shown = StudyShown(self.app, page=page, only_loopback=only_loopback)

    def ask(
        self, path: str, method: str = "GET", host: str = "127.0.0.1:8080"
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query}
        environ |= {"REQUEST_METHOD": method, "HTTP_HOST": host}
        setup_testing_defaults(environ)
        answer: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
            answer.append((status, headers))

        body: Iterable[bytes] = self._shown(environ, start_response)
        ((status, headers),) = answer
        return int(status[:3]), dict(headers), b"".join(body)


@pytest.fixture
def study_id(database: Database) -> int:
    """The id of a study with trials in every state."""
    return fill(database, spec())


@pytest.fixture
def dashboard(database_url: str, study_id: int) -> Iterator[Dashboard]:
    """The dashboard on that study."""
    storage = OptunaStorage(database_url)
    yield Dashboard(storage, study_id, only_loopback=True)
    storage.remove_session()


def test_it_lists_studies(dashboard: Dashboard) -> None:
    """The list of studies has ours."""
    status, _, body = dashboard.ask("/api/studies")

    assert status == 200
    assert [one["study_name"] for one in json.loads(body)["study_summaries"]] == ["streets"]


def test_it_shows_a_study(dashboard: Dashboard, study_id: int) -> None:
    """The study's page gets every trial, as JSON that browsers can read."""
    status, _, body = dashboard.ask(f"/api/studies/{study_id}?after=0")
    shown = json.loads(body, parse_constant=pytest.fail)

    assert status == 200
    assert [trial["number"] for trial in shown["trials"]] == list(range(len(COURSES)))
    assert shown["trials"][1]["values"] == [0.6]


def test_it_gives_importances_and_csv(dashboard: Dashboard, study_id: int) -> None:
    """Importances and the CSV export work."""
    assert dashboard.ask(f"/api/studies/{study_id}/param_importances")[0] == 200
    status, _, body = dashboard.ask(f"/csv/{study_id}")

    assert status == 200
    assert len(body.splitlines()) == len(COURSES) + 1


@pytest.mark.parametrize("path", ["", "/"])
def test_it_opens_at_the_study(path: str, dashboard: Dashboard, study_id: int) -> None:
    """The bare address leads to the page of the study that was named."""
    status, headers, _ = dashboard.ask(path)

    assert (status, headers["Location"]) == (302, f"/dashboard/studies/{study_id}")


def test_no_write_gets_through(dashboard: Dashboard, database: Database, study_id: int) -> None:
    """Each of its routes that would write says why not, and no row changes."""
    before = rows(database)
    writes = [
        (route.method, route.rule)
        for route in dashboard.app.routes
        if route.method not in {"GET", "HEAD"}
    ]
    answers = [dashboard.ask(filled(rule, study_id), method) for method, rule in writes]

    assert len(writes) > 10
    assert {status for status, _, _ in answers} == {403}
    assert all("only reads" in json.loads(body)["reason"] for _, _, body in answers)
    assert rows(database) == before


def filled(rule: str, study_id: int) -> str:
    """A path of that route, for our study."""
    parts = ["1" if part.startswith("<") else part for part in rule.split("/")]
    return "/".join(parts).replace("/studies/1", f"/studies/{study_id}")


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize("host", ["segtune.example", "127.0.0.1.nip.io:8080", "[::", ""])
def test_a_forged_name_reads_nothing(host: str, dashboard: Dashboard) -> None:
    """A page elsewhere whose name resolves to loopback is not answered."""
    status, _, body = dashboard.ask("/api/studies", host=host)

    assert status == 421
    assert b"streets" not in body


def test_any_name_is_fine_beyond_loopback(database_url: str, study_id: int) -> None:
    """Where it listens for others it cannot know its names."""
    storage = OptunaStorage(database_url)
    dashboard = Dashboard(storage, study_id, only_loopback=False)
    status, _, _ = dashboard.ask("/api/studies", host="gpu-1.example")
    storage.remove_session()

    assert status == 200
