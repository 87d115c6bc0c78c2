"""The table of trials without scripts: its address says what it shows, and nothing is lost."""

import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from api.dashboard.trial_table import TableQuery, usual_order
from tests.dashboard.scenes import Scene
from tuner.spec.states import TrialState
from tuner.store.engine import Database


@pytest.fixture
def scene(db: Database) -> Scene:
    """A study with trials in every state."""
    return Scene.played(db, 8, running=2)


def numbers(html: str) -> list[int]:
    """Trials of the table in their order."""
    return [int(number) for number in re.findall(r'<tr id="trial-(\d+)"', html)]


def heads(html: str) -> list[str]:
    """Names of the table's columns."""
    return re.findall(r'data-column="([^"]*)"', html)


@pytest.mark.parametrize(
    "query",
    [
        TableQuery(),
        TableQuery(sort="value", descending=False, state=TrialState.PRUNED, axis="hours"),
        TableQuery(filter='a = "b&c" or d > 1', by="iou.[car,sky]", sort="iou.[car,sky]"),
        TableQuery(by="dice", sort="number", descending=True, cursor="x", skipped=50),
        TableQuery(columns=("state", "iou.[car,sky]"), selected=(3, 12)),
    ],
)
def test_an_address_says_all_of_a_table(
    client: TestClient, scene: Scene, query: TableQuery
) -> None:
    """What a link asks for is what the page's own links carry on."""
    html = client.get(f"/partials/studies/1/trials{query.first().text}").text
    link = re.search(r'id="sort-number" href="([^"]*)"', html)
    assert link is not None
    turned = not query.descending if query.sort == "number" else True
    expected = TableQuery(
        sort="number",
        descending=turned,
        state=query.state,
        axis=query.axis,
        filter=query.filter,
        by=query.by,
        columns=query.columns,
        selected=query.selected,
    )
    assert unescape(link[1]) == f"/studies/1{expected.text}#trials"


def test_a_filter_leaves_its_trials(client: TestClient, scene: Scene) -> None:
    """In the table and in its count; the box keeps what was asked."""
    html = client.get("/studies/1", params={"filter": "state = running"}).text
    assert numbers(html) == [9, 8]
    assert "1–2 of 2" in html
    assert 'value="state = running"' in html


def test_a_mistake_stands_under_its_box_and_costs_no_page(client: TestClient, scene: Scene) -> None:
    """The whole table is shown; what is wrong is marked, and what was probably meant is said."""
    answer = client.get("/studies/1", params={"filter": "state = running and mio > .2"})
    assert answer.status_code == 200
    assert len(numbers(answer.text)) == 10
    assert 'aria-invalid="true" aria-describedby="mistake"' in answer.text
    assert "state = running and <mark>mio &gt; .2</mark>" in answer.text
    assert "did you mean &#39;miou&#39;?" in answer.text


@pytest.mark.parametrize("name", ["iou.cat", "nothing"])
def test_an_unknown_ranking_costs_no_page(client: TestClient, scene: Scene, name: str) -> None:
    """The table is as it was without it."""
    answer = client.get("/studies/1", params={"by": name})
    assert answer.status_code == 200
    assert numbers(answer.text) == list(range(9, -1, -1))
    assert 'id="mistake"' in answer.text


def test_another_metric_ranks_the_table_and_the_best(client: TestClient, scene: Scene) -> None:
    """The metric is the first value, the best first; the panel of the best is by it too."""
    html = client.get("/studies/1", params={"by": "recall.car"}).text
    ranking = client.get("/api/v1/studies/1/ranking", params={"objective": "recall.car"}).json()
    done = [one["trial"] for one in ranking]
    assert heads(html)[:4] == ["number", "state", "recall.car", "value"]
    assert [number for number in numbers(html) if number in done] == done
    assert "by recall.car" in html
    assert "best camvid-street --objective recall.car -o best.json" in html


def test_columns_are_those_of_the_address_in_its_order(client: TestClient, scene: Scene) -> None:
    """Facts, params and metrics, derived ones too; what there is none of is left out."""
    asked = ["iou.car", "nothing", "attempts", "optimizer.lr", "recall.[car,sky]", "state"]
    html = client.get("/studies/1", params={"columns": asked}).text
    assert heads(html) == ["number", *(name for name in asked if name != "nothing")]
    trial = client.get("/api/v1/studies/1/trials/0").json()
    assert f"{trial['metrics']['iou.car']:.3f}" in html


def test_an_empty_result_is_said(client: TestClient, scene: Scene) -> None:
    """A filter that lets nothing through is not a study without trials."""
    html = client.get("/studies/1", params={"filter": "miou > 9"}).text
    assert "No trial is let through by this filter." in html


def test_downloads_are_of_the_table_that_is_shown(client: TestClient, scene: Scene) -> None:
    """The link carries filter, order and metric; what it gives are the same trials."""
    html = client.get("/studies/1", params={"filter": "miou > .1", "by": "dice.car"}).text
    link = re.search(r'href="([^"]*trials\.json[^"]*)"', html)
    assert link is not None
    found = client.get(unescape(link[1])).json()
    assert [trial["number"] for trial in found] == numbers(html)
    assert all("dice.car" in trial["metrics"] for trial in found)


def test_selected_trials_are_cancelled_together(client: TestClient, scene: Scene) -> None:
    """Those that have ended are left as they are; the page comes back as it was filtered."""
    form = {"trials": ["1:8", "1:9", "1:0", "7:1"]}
    answer = client.post(
        "/studies/1/trials/cancel?filter=number%20%3E%200&selected=8",
        data=form,
        headers={"origin": "http://localhost"},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/studies/1?filter=number+%3E+0#trials"
    verdicts = [
        client.get(f"/api/v1/studies/1/trials/{number}").json()["verdict"]["action"]
        for number in (8, 9, 0)
    ]
    assert verdicts == ["stop", "stop", "continue"]


@pytest.mark.parametrize(
    ("by", "order"),
    [("", ("number", True)), ("dice", ("dice", True)), ("train_loss", ("train_loss", False))],
)
def test_the_best_come_first_unless_said(by: str, order: tuple[str, bool]) -> None:
    """Of a loss the lowest."""
    assert usual_order(by) == order
