"""Params and results over HTTP: true to the page's address, whole without scripts."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from starlette.testclient import TestClient

from tests.dashboard.relations import SPACE
from tests.dashboard.scenes import Scene, document
from tests.dashboard.staging import staged
from tuner.configs import checks
from tuner.service import studies
from tuner.spec.views import StudyView
from tuner.store.engine import Database

KINDS = ("parallel", "slices", "contour", "ranks", "edf")
SGD = quote("optimizer.name = sgd")


def submitted(db: Database) -> Scene:
    """A study with conditional params, before its first trial."""
    written = document("streets", trials=40) | {"space": SPACE}
    return Scene(db, studies.submit(db, checks.parse(written))[0])


@pytest.fixture
def study(db: Database, client: TestClient) -> Scene:
    """A study with conditional params, before its first trial."""
    return submitted(db)


@staged
def _of_every_kind(db: Database) -> StudyView:
    return submitted(db).play(14, running=1).study


@pytest.fixture
def scene(db: Database, client: TestClient) -> Scene:
    """It with trials of every kind."""
    return Scene(db, _of_every_kind(db))


def data(client: TestClient, chart: str, query: str = "") -> Any:
    """What a chart of the second study draws."""
    answer = client.get(
        f"/partials/studies/streets/charts/{chart}?{query}", headers={"accept": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(client: TestClient, chart: str, query: str = "") -> set[int]:
    """Trials that a chart draws as matching."""
    found = data(client, chart, query)
    match chart:
        case "parallel":
            return {one["trial"] for one in found["lines"] if one["matches"]}
        case "slices":
            return set(found["numbers"])
        case _:
            return {one["trial"] for one in found["dots"]}


def trials(client: TestClient, query: str) -> set[int]:
    """Completed trials that the API lists for a filter."""
    answer = client.get(f"/api/v1/studies/streets/trials?limit=200&state=completed&{query}")
    return {one["number"] for one in answer.json()["items"]}


def test_charts_obey_the_filter_of_the_page(client: TestClient, scene: Scene) -> None:
    """They draw the trials that the table has."""
    for chart in ("parallel", "slices", "contour", "ranks"):
        found = numbers(client, chart, f"among=completed&filter={SGD}")
        assert found == trials(client, f"filter={SGD}")
        assert found < numbers(client, chart, "among=completed")


def test_charts_follow_another_metric(client: TestClient, scene: Scene) -> None:
    """As their matrices give it, without a training."""
    assert {data(client, chart, "by=iou.car")["metric"] for chart in KINDS} == {"iou.car"}


def test_trials_of_a_state_are_all_shown(client: TestClient, scene: Scene) -> None:
    """Of pruned trials there is none that completed."""
    found = data(client, "slices", "state=pruned")
    assert set(found["states"]) == {"pruned"}


def test_studies_stand_beside_each_other(client: TestClient, db: Database, scene: Scene) -> None:
    """By id or by name; itself is not shown twice; one that is not there is named."""
    Scene.played(db, 3, name="other", trials=9)
    found = data(client, "edf", "against=other,2,streets")
    assert [one["label"] for one in found["stairs"]][-1] == "other"
    assert {one["study"] for one in found["stairs"]} == {1, 2}
    page = client.get("/studies/streets?relation=edf&against=other,nowhere")
    assert page.status_code == 200
    assert "Not shown: nowhere" in page.text


def test_the_panel_is_whole_without_scripts(client: TestClient, scene: Scene) -> None:
    """Every chart is drawn on the page itself, and links lead to the others."""
    for kind in KINDS:
        page = client.get(f"/studies/streets?relation={kind}&filter={SGD}").text
        panel = page[page.index('id="relations"') : page.index('id="trials"')]
        assert 'class="chart"' in panel
        assert "optimizer.name = sgd" in panel
        assert panel.count("relation=") >= 4


def test_a_study_without_trials_says_what_will_come(client: TestClient, study: Scene) -> None:
    """An empty chart is not drawn."""
    for kind in KINDS:
        page = client.get(f"/studies/streets?relation={kind}").text
        assert "once a trial has a value" in page
        assert data(client, kind)["metric"] == "miou"


def test_a_filter_without_a_match_is_said(client: TestClient, scene: Scene) -> None:
    """It may be taken out again."""
    page = client.get("/studies/streets?relation=slices&filter=miou+%3E+7").text
    assert "No trial with a value matches the filter." in page
    assert 'aria-label="Take out miou &gt; 7"' in page


def test_a_filter_that_cannot_be_read_spoils_no_chart(client: TestClient, scene: Scene) -> None:
    """The table says what is wrong with it; the charts are those without it."""
    answer = client.get("/studies/streets?filter=miou+%3E")
    assert answer.status_code == 200
    assert 'id="relation-parallel"' in answer.text
    wrong = "&filter=miou+%3E"
    assert all(data(client, kind, wrong) == data(client, kind) for kind in KINDS)


def test_what_comes_with_each_event_has_no_relations(client: TestClient, scene: Scene) -> None:
    """They cost a read of all trials, and bring themselves up to date."""
    assert "relation-parallel" not in client.get("/partials/studies/streets").text
    assert "relation-parallel" in client.get("/partials/studies/streets/relations").text


def _filter(answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    found = urlsplit(answer.headers["location"])
    assert (found.path, found.fragment) == ("/studies/streets", "relations")
    return str(parse_qs(found.query).get("filter", [""])[0])


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("name=optimizer.lr&low=1e-3&high=", "", "optimizer.lr >= 0.001"),
        ("name=optimizer.lr&low=&high=", "optimizer.lr > 1", ""),
        (
            "name=training.epochs&low=8&high=10",
            "",
            "training.epochs >= 8 and training.epochs <= 10",
        ),
        ("name=optimizer.name&value=sgd&of=2", "", "optimizer.name = sgd"),
        ("name=optimizer.name&value=sgd&value=adamw&of=2", "optimizer.name = sgd", ""),
        ("name=training.batch_size&value=4&value=16&of=3", "", "training.batch_size in [4, 16]"),
        ("name=optimizer.momentum&missing=true&of=0", "", "optimizer.momentum = none"),
    ],
)
def test_a_form_writes_the_filter(
    client: TestClient, study: Scene, form: str, before: str, after: str
) -> None:
    """Without a script or a mouse, and everything else of the address stays."""
    address = f"/studies/streets/narrow?{form}&relation=slices&filter={quote(before)}"
    answer = client.get(address, follow_redirects=False)
    assert _filter(answer) == after
    assert "relation=slices" in answer.headers["location"]


def test_a_brush_gets_the_filter_back(client: TestClient, study: Scene) -> None:
    """As a form would write it."""
    query = "name=optimizer.lr&span=~0.01&span=0.05~&missing=true&filter=miou+%3E+.2"
    found = client.get(f"/partials/studies/streets/narrow?{query}").json()
    said = "optimizer.lr <= 0.01 or optimizer.lr >= 0.05 or optimizer.lr = none"
    assert found == {"filter": f"miou > 0.2 and ({said})"}


@pytest.mark.parametrize(
    "form",
    [
        "name=optimizer.lr&low=much",
        "name=optimizer.lr&low=nan",
        "name=optimizer.lr&low=1e999",
        "name=optimizer.name&value=%22",
        "name=optimizer.lr&low=1&filter=%28",
        "low=1",
    ],
)
def test_a_wrong_end_is_refused(client: TestClient, study: Scene, form: str) -> None:
    """With the reason, and never with a crash."""
    assert client.get(f"/studies/streets/narrow?{form}").status_code == 422


def test_a_study_that_is_not_there_is_not_narrowed(client: TestClient) -> None:
    """Nor related."""
    assert client.get("/partials/studies/nowhere/narrow?name=lr").status_code == 404
    assert client.get("/partials/studies/nowhere/relations").status_code == 404
