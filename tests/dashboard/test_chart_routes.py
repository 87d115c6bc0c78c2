"""The data of interactive charts over HTTP: small, and true to the page's address."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

CHARTS = "/partials/studies/1/charts"


@pytest.fixture
def scene(db: Database, client: TestClient) -> Scene:
    """A study with some trials of every kind."""
    return Scene.played(db, 24, running=3, trials=40)


def data(client: TestClient, path: str) -> Any:
    """What the chart at this address draws."""
    answer = client.get(f"{CHARTS}/{path}", headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def of_any_time(found: Any) -> Any:
    """A chart without what grows while one looks at it."""
    return {name: value for name, value in found.items() if name not in {"end", "ends"}}


def test_a_study_of_one_objective_has_no_front(client: TestClient, scene: Scene) -> None:
    """There is nothing to draw over two metrics, and that is no error."""
    assert data(client, "front") == {"empty": True}


def test_a_chart_that_is_not_there_is_named(client: TestClient, scene: Scene) -> None:
    """The answer says which charts there are."""
    answer = client.get(f"{CHARTS}/horoscope", headers={"accept": "application/json"})
    assert answer.status_code == 404
    assert "no chart is called 'horoscope'; there are history" in answer.text


@pytest.mark.parametrize("query", ["axis=parsecs", "points=1", "smooth=7", "pick=worst", "lines=0"])
def test_a_wrong_choice_is_refused(client: TestClient, scene: Scene, query: str) -> None:
    """With the reason, and never with a crash."""
    assert client.get(f"{CHARTS}/history?{query}").status_code == 422


def test_history_has_a_mark_for_each_ended_trial(client: TestClient, scene: Scene) -> None:
    """With its params, and where it stopped; every column has as many cells."""
    found = data(client, "history")
    lists = ("trials", "places", "values", "states", "steps", "epochs", "params")
    assert {len(found[name]) for name in lists} == {24}
    assert sorted(found["trials"]) == list(range(24))
    assert "lr=" in found["params"][0]
    pruned = [
        (step, epochs)
        for step, epochs, state in zip(
            found["steps"], found["epochs"], found["states"], strict=True
        )
        if state == "pruned"
    ]
    assert pruned
    assert all(step < epochs for step, epochs in pruned)


def test_history_obeys_the_state_of_the_address(client: TestClient, scene: Scene) -> None:
    """What the table leaves out is not drawn either."""
    assert set(data(client, "history?state=pruned")["states"]) == {"pruned"}
    assert data(client, "history?state=paused")["trials"] == []


def test_a_study_without_trials_has_an_empty_history(client: TestClient, db: Database) -> None:
    """The page says so; the script draws nothing."""
    Scene.submit(db)
    found = data(client, "history")
    assert (found["trials"], found["best"]) == ([], [])


def test_history_lies_along_the_axis_of_the_address(client: TestClient, scene: Scene) -> None:
    """Epochs of the whole study are more than trials."""
    assert data(client, "history?axis=epochs")["across"] > data(client, "history")["across"] == 24


@pytest.mark.parametrize(
    ("metric", "log"), [("", False), ("iou.car", False), ("train_loss", True), ("lr", True)]
)
def test_curves_of_any_metric(client: TestClient, scene: Scene, metric: str, log: bool) -> None:
    """A line for each trial with as many places as values; losses lie on a logarithmic axis."""
    found = data(client, f"curves?metric={metric}" if metric else "curves")
    assert found["metric"] == (metric or "miou")
    assert found["log"] is log
    assert len(found["lines"]) == found["total"] == 27
    assert all(len(line["xs"]) == len(line["ys"]) > 0 for line in found["lines"])
    assert [line["role"] for line in found["lines"][-3:]] == ["running"] * 3


def test_curves_of_what_only_matrices_know(client: TestClient, scene: Scene) -> None:
    """A measure that no trial reports is computed from each step's matrix."""
    found = data(client, "curves?metric=recall.car&lines=3")
    assert len(found["lines"]) == 3
    assert all(0 <= value <= 1 for line in found["lines"] for value in line["ys"])


@pytest.mark.parametrize("query", ["filter=miou >", "by=iou.cat", "filter=miou >&by=iou.cat"])
@pytest.mark.parametrize(
    "part",
    [
        "charts/history",
        "charts/curves",
        "charts/timeline",
        "charts/parallel",
        "charts/front",
        "analysis",
        "relations",
    ],
)
def test_a_mistake_of_the_table_spoils_nothing_beside_it(
    client: TestClient, scene: Scene, part: str, query: str
) -> None:
    """The page says what is wrong and shows all; each of its parts shows the same trials."""
    whole, found = (client.get(f"/partials/studies/1/{part}?{said}") for said in ("", query))
    assert (whole.status_code, found.status_code) == (200, 200)
    if part.startswith("charts"):
        assert of_any_time(found.json()) == of_any_time(whole.json())


def test_a_metric_that_is_not_there_is_refused(client: TestClient, scene: Scene) -> None:
    """With the nearest that is; the page says so too."""
    for path in (f"{CHARTS}/curves?metric=iou.cat", "/studies/1?metric=iou.cat"):
        answer = client.get(path)
        assert answer.status_code == 422
        assert "iou.car" in answer.text


@pytest.mark.parametrize("pick", ["recent", "best", "newest"])
def test_few_of_many_curves(client: TestClient, scene: Scene, pick: str) -> None:
    """The best is always among them; how many there are is said."""
    found = data(client, f"curves?lines=4&pick={pick}")
    assert (len(found["lines"]), found["total"]) == (4, 27)
    assert "best" in [line["role"] for line in found["lines"]]
    running = sum(line["role"] == "running" for line in found["lines"])
    assert running == (0 if pick == "best" else 3)
    assert "4 of 27 drawn" in client.get(f"/studies/1?lines=4&pick={pick}").text


def test_curves_over_time_add_up(client: TestClient, scene: Scene) -> None:
    """Device time of a trial's steps, so that trials of another pace can be compared."""
    line = data(client, "curves?over=time&lines=1&pick=newest")["lines"][0]
    assert line["xs"] == sorted(line["xs"])
    assert line["xs"][-1] > 12 * len(line["xs"])


def test_curves_over_images_need_reports_of_them(client: TestClient, scene: Scene) -> None:
    """Where no trial says how many it has seen there is nothing to draw, and the page says so."""
    assert data(client, "curves?over=images")["lines"] == []
    assert "has reported" in client.get("/studies/1?over=images").text


@pytest.mark.parametrize("chart", ["timeline", "survival", "sources", "lineage"])
def test_an_analysis_has_data_at_every_size(client: TestClient, db: Database, chart: str) -> None:
    """Of no trial, of one that runs, and of many; its panel is there with each."""
    scene = Scene.submit(db, trials=40)
    tab = "sources" if chart == "lineage" else chart
    for more in (lambda: None, scene.take, lambda: scene.play(12)):
        more()
        data(client, chart)
        for path in ("/studies/1", "/partials/studies/1/analysis"):
            assert 'id="analysis"' in client.get(f"{path}?analysis={tab}").text


def test_an_analysis_that_is_not_there_is_named(client: TestClient, scene: Scene) -> None:
    """The answer says which there are."""
    for path in ("/studies/1", "/partials/studies/1/analysis"):
        answer = client.get(f"{path}?analysis=astrology")
        assert answer.status_code == 404
        assert "timeline, survival" in answer.text


def test_attempts_lie_in_the_lanes_of_their_workers(client: TestClient, scene: Scene) -> None:
    """Those that run are bars too."""
    found = data(client, "timeline")
    assert found["workers"] == ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]
    assert found["attempts"] == len(found["starts"]) == 27
    assert found["kinds"].count("running") == 3
    assert "27 attempts by 4 workers" in client.get("/studies/1").text


def test_rungs_say_what_stopping_saved(client: TestClient, scene: Scene) -> None:
    """The same number of epochs as the study's own figure."""
    rungs = data(client, "survival")["rungs"]
    html = client.get("/studies/1?analysis=survival").text
    assert f"saved {sum(rung['saved'] for rung in rungs)} epochs" in html
    assert f"{sum(rung['saved'] for rung in rungs)} saved by pruning" in html


def test_sources_name_the_base_recipe(client: TestClient, scene: Scene) -> None:
    """Trial 0 is not a draw of the sampler."""
    counts = data(client, "sources")["counts"]
    assert (sum(counts["base"]), sum(counts["sampler"])) == (1, 26)


def test_axes_of_the_front_are_what_the_study_asks_for(client: TestClient, db: Database) -> None:
    """Objectives and bounds; another metric is refused with those that there are."""
    objectives = [{"metric": "miou"}, {"metric": "iou.pole"}, {"metric": "iou.car"}]
    scene = Scene.played(db, 8, objectives=objectives, trials=12)
    found = data(client, "front")
    assert (found["up"]["metric"], found["across"]["metric"]) == ("miou", "iou.pole")
    assert set(found["roles"]) <= {"front", "behind"}
    assert data(client, "front?across=iou.car")["across"]["metric"] == "iou.car"
    assert client.get(f"{CHARTS}/front?across=iou.cart").status_code == 422
    volumes = data(client, "volume")["volumes"]
    assert volumes == sorted(volumes)
    assert scene.study.id == 1


def test_charts_obey_what_the_table_ranks_by(client: TestClient, scene: Scene) -> None:
    """History and curves show that metric, and its best; a filter leaves trials out of both."""
    history = data(client, "history?by=iou.pole")
    assert history["metric"] == data(client, "curves?by=iou.pole")["metric"] == "iou.pole"
    completed = [
        value
        for value, state in zip(history["values"], history["states"], strict=True)
        if state == "completed"
    ]
    assert history["best"][-1][1] == pytest.approx(max(completed), rel=1e-4)
    assert data(client, "curves?by=iou.[pole,sign]&lines=3")["metric"] == "iou.[pole,sign]"
    assert data(client, "history?filter=number < 3")["trials"] == [0, 1, 2]
    assert {line["trial"] for line in data(client, "curves?filter=number < 3")["lines"]} == {
        0,
        1,
        2,
    }
    assert "iou.pole of each ended trial" in client.get("/studies/1?by=iou.pole").text
