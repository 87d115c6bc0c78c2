"""What templates say, and what their pages give them."""

from dataclasses import fields
from typing import Any

import pytest
from jinja2 import meta, nodes
from starlette.testclient import TestClient

from api.dashboard.analysis import TABS, AnalysisPage
from api.dashboard.compare_page import ComparePage
from api.dashboard.images_page import ImagesPage
from api.dashboard.importance_panel import ImportancePanel
from api.dashboard.new_page import CheckedText, NewPage
from api.dashboard.queue_page import QueuePage
from api.dashboard.relations_panel import RelationsPage
from api.dashboard.render import FOLDER, environment
from api.dashboard.routes.session import ErrorPage, LoginPage
from api.dashboard.study_list import StudyList
from api.dashboard.study_page import StudyPage
from api.dashboard.table_panel import TablePanel
from api.dashboard.trial_page import TrialPage
from api.dashboard.workers_page import WorkersPage
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

# What every page has.
FRAME = {"here", "is_logged_in", "language", "now", "path", "prefix", "theme"}
PAGES: dict[str, Any] = {
    "images/page.html": ImagesPage,
    "images/live.html": ImagesPage,
    "studies/page.html": StudyList,
    "studies/live.html": StudyList,
    "new/page.html": NewPage,
    "new/verdict.html": CheckedText,
    "study/page.html": StudyPage,
    "study/live.html": StudyPage,
    "study/trials.html": TablePanel,
    "trial/page.html": TrialPage,
    "trial/live.html": TrialPage,
    "compare/page.html": ComparePage,
    "compare/live.html": ComparePage,
    "study/analysis.html": AnalysisPage,
    "study/importance.html": ImportancePanel,
    "study/relations.html": RelationsPage,
    "workers/page.html": WorkersPage,
    "workers/live.html": WorkersPage,
    "queue/page.html": QueuePage,
    "queue/live.html": QueuePage,
    "login.html": LoginPage,
    "error.html": ErrorPage,
}


def _meant(template: Any) -> list[str]:
    """The template of that name, or those of all tabs where it is the open one's."""
    known = isinstance(template, nodes.Const)
    return [template.value] if known else [f"study/{tab}.html" for tab in TABS]


def _others(template: str) -> set[str]:
    """Templates that one extends, includes or imports."""
    tree = environment().parse((FOLDER / "templates" / template).read_text(encoding="utf-8"))
    found: list[Any] = list(tree.find_all((nodes.Extends, nodes.Include, nodes.Import)))
    return {name for node in found for name in _meant(node.template)}


def _names(template: str) -> set[str]:
    """Names that a template takes from its context, with those of what it extends and includes."""
    tree = environment().parse((FOLDER / "templates" / template).read_text(encoding="utf-8"))
    found: list[Any] = [*tree.find_all(nodes.Extends), *tree.find_all(nodes.Include)]
    others = [name for node in found for name in _meant(node.template)]
    return meta.find_undeclared_variables(tree).union(*map(_names, others))


@pytest.mark.parametrize(("template", "page"), PAGES.items())
def test_a_template_says_only_what_its_page_has(template: str, page: Any) -> None:
    """A name that is no field of the page would be an error in a browser, and nowhere before."""
    given = {each.name for each in fields(page)}

    assert _names(template) <= given | FRAME | environment().globals.keys()


@pytest.mark.parametrize("page", dict.fromkeys(PAGES.values()))
def test_a_page_reads_nothing_that_no_template_shows(page: Any) -> None:
    """A field that is shown nowhere costs a read for nothing."""
    said = set().union(*(_names(name) for name, other in PAGES.items() if other is page))

    assert {each.name for each in fields(page)} <= said


def test_every_template_belongs_to_a_page() -> None:
    """None is forgotten here: each is a page's own, or part of one that is."""
    folder = FOLDER / "templates"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
    reached, left = set[str](), set(PAGES)
    while left:
        reached |= left
        left = set().union(*map(_others, left)) - reached

    assert found == reached


@pytest.mark.parametrize(
    "path", ["/", "/studies/streets", "/studies/streets/trials/0", "/workers", "/partials/workers"]
)
def test_a_page_is_read_in_one_session(
    client: TestClient, db: Database, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Parts that were read one after another could contradict each other."""
    Scene.played(db, 2, running=1, name="streets")
    opened = []

    def counted(read: Any) -> Any:
        def read_once(self: Database) -> Any:
            opened.append(read.__name__)
            return read(self)

        return read_once

    monkeypatch.setattr("api.registry.monotonic", lambda: 0.0)  # tokens are read beside requests
    for name in ("reading", "snapshot", "transaction"):
        monkeypatch.setattr(Database, name, counted(getattr(Database, name)))

    assert client.get(path).status_code == 200
    assert len(opened) == 1
