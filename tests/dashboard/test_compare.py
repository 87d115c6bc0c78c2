"""The page that compares trials, without scripts."""

import math
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.dashboard.addresses import TrialAddress, of_study, parse, write
from api.dashboard.charts.overlay import fold_overlay, thin
from api.settings import Settings
from tests.dashboard import pictures
from tests.dashboard.scenes import Scene, document
from tests.unit.samples import few
from tuner.configs import checks
from tuner.errors import InvalidInput
from tuner.service import studies
from tuner.store.engine import Database
from tuner.wording import duration

_trials = st.lists(
    st.builds(TrialAddress, st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1)), unique=True
)


@pytest.fixture
def scene(db: Database) -> Scene:
    """Two studies with trials, the second over other classes."""
    scene = Scene.played(db, 5)
    other = document("other")
    other["dataset"] = {**other["dataset"], "classes": ["sky", "building", "bus"]}
    studies.submit(db, checks.parse(other))
    return scene


@few
@given(_trials)
def test_addresses_of_trials_are_read_back(trials: list[TrialAddress]) -> None:
    """Whether commas part them or each has a field of its own."""
    assert parse([write(trials)]) == tuple(trials)
    assert parse(map(str, trials)) == tuple(trials)


@pytest.mark.parametrize(
    "text", ["3", "3:", "a:", "3:1:2", "99999999999:1", "3:-1", "3:1;3:2", "a b:1", "3:99999999999"]
)
def test_what_names_no_trial_is_refused(text: str) -> None:
    """With what a trial looks like."""
    with pytest.raises(InvalidInput, match="as in 3:12"):
        parse([text])


@pytest.mark.parametrize("text", ["camvid-street:12", "camvid-street#12"])
def test_a_study_is_named_as_well(text: str) -> None:
    """By what a reader sees on every page."""
    assert parse([text]) == (TrialAddress("camvid-street", 12),)


def test_the_trials_of_one_study_are_found() -> None:
    """In their order."""
    assert of_study(parse(["3:12, 4:1,,3:2"]), 3) == (12, 2)


@few
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000), st.integers(4, 300))
def test_a_thinned_curve_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    """However few points are left, no peak is lost."""
    points = list(enumerate(values, start=1))
    found = thin(points, most)
    assert len(found) <= most or len(found) == len(points)
    assert [step for step, _ in found] == sorted({step for step, _ in found})
    assert {found[0], found[-1]} == {points[0], points[-1]}
    assert {min(v for _, v in found), max(v for _, v in found)} == {min(values), max(values)}


def test_a_curve_without_points_leaves_its_letter_to_its_trial() -> None:
    """Colours and letters are those of the heads, whichever trial has not reported yet."""
    folded = fold_overlay([("A", (), ()), ("B", (1, 2), (0.1, math.nan))])
    assert [(one.letter, one.place, one.points) for one in folded.lines] == [("B", 1, ((1, 0.1),))]


def test_trials_stand_beside_each_other(client: TestClient, scene: Scene) -> None:
    """Values, classes with differences to the first, and the params that differ."""
    html = client.get("/compare?trials=1:0,1:1").text
    first, second = (client.get(f"/api/v1/studies/1/trials/{n}").json() for n in (0, 1))
    assert re.findall(r'class="panel hue\d" id="trial-(\d-\d)"', html) == ["1-0", "1-1"]
    for trial in (first, second):
        assert f"{trial['metrics']['iou.car']:.3f}" in html
    row = re.search(r'<tr[^>]*><th scope="row"[^>]*>car</th>.*?</tr>', html, re.DOTALL)
    assert row is not None
    gain = second["metrics"]["iou.car"] - first["metrics"]["iou.car"]
    assert f"{'+' if gain > 0 else '−'}{abs(gain):.3f}" in row[0]
    assert "optimizer.lr" in html
    assert "dataset.format" not in html
    assert "dataset.format" in client.get("/compare?trials=1:0,1:1&all=1").text


def test_a_metric_of_the_curves_is_chosen(client: TestClient, scene: Scene) -> None:
    """In the address; the interactive chart gets the same points."""
    html = client.get("/compare?trials=1:0,1:1&metric=train_loss").text
    assert "train_loss over epochs of the trials A, B" in html
    data = client.get("/partials/compare/curves?trials=1:0,1:1&metric=train_loss").json()
    steps = client.get("/api/v1/studies/1/trials/0/steps").json()
    assert data["metric"] == "train_loss"
    assert data["lines"][0]["points"] == [
        [step["step"], step["metrics"]["train_loss"]] for step in steps
    ]
    assert [line["letter"] for line in data["lines"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Nothing to compare yet"),
        ("?trials=1:0", "One trial alone has nothing to be compared with"),
        ("?trials=1:0,1:99", "has no trial 99"),
        ("?trials=1:0,77:1", "no study has the id '77'"),
        ("?trials=1:0,1:1,1:2,1:3,1:4,1:5,1:6,1:7,1:8,1:9", "Up to 8 trials are compared"),
    ],
)
def test_what_cannot_be_compared_is_said(
    client: TestClient, scene: Scene, query: str, said: str
) -> None:
    """On the page itself, beside what can."""
    answer = client.get(f"/compare{query}")
    assert answer.status_code == 200
    assert said in unescape(answer.text)


def test_an_address_that_names_no_trial_is_a_mistake(client: TestClient, scene: Scene) -> None:
    """422, in the dashboard's design."""
    answer = client.get("/compare?trials=1-2")
    assert answer.status_code == 422
    assert "as in 3:12" in answer.text


def test_other_classes_are_compared_by_name(client: TestClient, scene: Scene) -> None:
    """What one of them does not have is a dash, and the page says so."""
    client.post("/api/v1/studies/other/trials", json={"params": {}})
    html = client.get("/compare?trials=1:0,2:0").text
    assert "they are compared by name" in html


def test_a_study_is_found_by_its_name(client: TestClient, scene: Scene) -> None:
    """And a trial stands once, however often and in whichever form it is asked for."""
    html = client.get("/compare?trials=camvid-street:1,1:0,1:1,camvid-street%232").text
    assert re.findall(r'class="panel hue\d" id="trial-(\d-\d)"', html) == ["1-1", "1-0", "1-2"]
    assert "/compare?trials=1:1,1:2" in html
    html = unescape(client.get("/compare?trials=nowhere:1,1:0").text)
    assert "no study has the name 'nowhere'" in html


def test_times_are_said_as_times(client: TestClient, scene: Scene) -> None:
    """With their differences, as everywhere else."""
    html = client.get("/compare?trials=1:0,1:1").text
    seconds = [client.get(f"/api/v1/studies/1/trials/{n}").json()["seconds"] for n in (0, 1)]
    row = re.search(r'<tr[^>]*><th scope="row">device time</th>.*?</tr>', html, re.DOTALL)
    assert row is not None
    assert duration(seconds[1]) in row[0]
    assert duration(abs(seconds[1] - seconds[0])) in row[0]


def test_images_are_there_without_scripts(
    client: TestClient, db: Database, settings: Settings
) -> None:
    """One image of each trial that has any; no panel where none has."""
    scene = Scene.submit(db)
    works = [scene.take() for _ in range(3)]
    address = "/compare?trials=1:0,1:1,1:2"
    assert 'id="masks"' not in client.get(address).text
    for work in works[:2]:
        pictures.hand_in(scene, settings, work, 1)
    html = client.get(address).text
    panel = html[html.index('id="masks"') : html.index("swatches")]
    assert re.findall(r"<figcaption>([^<]+)", panel) == ["Image", "Truth", "Trial 0 ", "Trial 1 "]
    assert panel.count('class="crop"') == 8 + 4
    others = re.findall(r'href="(/compare[^"]*image=\d+)#masks"', panel)
    assert len(others) == 8
    other = client.get(unescape(others[3])).text
    assert f'href="{others[3]}#masks" aria-current="true"' in other
    version = re.findall(r'data-version="(\d+)"', html)
    pictures.hand_in(scene, settings, works[1], 2)
    assert re.findall(r'data-version="(\d+)"', client.get(address).text) > version


def test_a_trial_is_taken_out_or_made_the_first(client: TestClient, scene: Scene) -> None:
    """By links that keep the rest of the address."""
    html = unescape(client.get("/compare?trials=1:0,1:1,1:2&metric=iou.car").text)
    assert "/compare?trials=1:0,1:2&metric=iou.car" in html
    assert "/compare?trials=1:1,1:0,1:2&metric=iou.car" in html
