"""Validation images on pages, as far as they are there without scripts."""

import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from api.dashboard.images_page import ImagesQuery
from api.settings import Settings
from tests.dashboard import pictures
from tests.dashboard.scenes import Scene
from tests.dashboard.staging import staged
from tuner import wording
from tuner.spec.messages import OutcomeKind
from tuner.spec.views import StudyView
from tuner.store.engine import Database


@pytest.fixture
def scene(db: Database, client: TestClient, settings: Settings) -> Scene:
    """Three trials with pictures, the later the better, and one without."""
    return Scene(db, _with_pictures(db, settings=settings))


@staged
def _with_pictures(db: Database, *, settings: Settings) -> StudyView:
    scene = Scene.submit(db)
    for quality in (0.3, 0.6, 0.9):
        work = scene.take()
        scene.report(work, *range(1, 13))
        pictures.hand_in(scene, settings, work, 1, 12, quality=quality)
        scene.finish(work, OutcomeKind.COMPLETED, 12)
    scene.take()
    return scene.study


def rows(page: str) -> list[int]:
    """Trials in the order of the grid."""
    return [int(number) for number in re.findall(r'<tr id="images-(\d+)"', page)]


def test_the_grid_shows_every_trial(client: TestClient, scene: Scene) -> None:
    """Photo and truth first, then a row for each trial with a cell for each image."""
    page = client.get("/studies/1/images?sort=number&descending=0").text
    assert rows(page) == [0, 1, 2, 3]
    assert page.index('id="given-photo"') < page.index('id="given-truth"') < page.index("images-0")
    assert len(re.findall(r'href="/studies/1/trials/2\?image=\d+#masks"', page)) == 8
    assert "no images yet" in page


def test_the_grid_is_sorted_by_an_image(client: TestClient, scene: Scene) -> None:
    """The better prediction of that image stands higher, whatever the mean says."""
    page = client.get("/studies/1/images").text
    image = re.findall(r'href="\?sort=(image\.\d+)"', page)[0]
    sorted_page = client.get(f"/studies/1/images?sort={image}").text
    assert rows(sorted_page) == [2, 1, 0, 3]
    assert 'aria-sort="descending"' in sorted_page
    assert rows(client.get(f"/studies/1/images?sort={image}&descending=0").text) == [0, 1, 2, 3]


def test_the_grid_obeys_a_filter(client: TestClient, scene: Scene) -> None:
    """And keeps it in its form and its links."""
    page = client.get("/studies/1/images", params={"filter": "number < 2"}).text
    assert sorted(rows(page)) == [0, 1]
    assert 'value="number &lt; 2"' in page
    assert "filter=number+%3C+2" in page


@pytest.mark.parametrize("query", ["sort=image.x", "sort=nothing", "filter=%3D%3D", "opacity=101"])
def test_what_the_grid_cannot_do_is_said(client: TestClient, scene: Scene, query: str) -> None:
    """As a page, not as a failure."""
    answer = client.get(f"/studies/1/images?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


def test_a_study_without_pictures_says_when_they_come(client: TestClient, db: Database) -> None:
    """Neither page nor panel has an empty frame."""
    Scene.submit(db)
    assert "Images come with the first evaluation" in client.get("/studies/1/images").text
    assert 'id="images"' not in client.get("/studies/1").text


def test_the_page_of_a_study_shows_its_best(client: TestClient, scene: Scene) -> None:
    """The first rows, and where the others are."""
    page = client.get("/studies/1").text
    assert len(rows(page)) == 3
    assert 'href="/studies/1/images"' in page


def test_the_best_by_another_metric_lead_everywhere(client: TestClient, scene: Scene) -> None:
    """The images, the table with its star and the panel of the best agree, and say the metric."""
    scores = [client.get(f"/api/v1/studies/1/trials/{n}").json()["metrics"] for n in range(3)]
    for metric in ("iou.car", "iou.sky", "train_loss"):
        sign = 1 if metric == "train_loss" else -1
        order = sorted((0, 1, 2), key=lambda n: sign * scores[n][metric])
        asked = {"by": metric, "filter": "number < 3"}
        page = client.get("/studies/1", params=asked).text
        assert rows(page) == order
        assert f"the best by {metric} first" in page
        said = re.findall(rf'class="score">{metric} <b>([^<]+)', page)
        assert said == [wording.metric(scores[n][metric]) for n in order]
        table = client.get("/partials/studies/1/trials", params=asked).text
        for html in (page, table):
            assert re.findall(r'<tr id="trial-(\d+)" class="top"', html) == [str(order[0])]
        (link,) = re.findall(r'href="(/studies/1/images[^"]*)">all trials', page)
        assert rows(client.get(unescape(link)).text) == order


def test_a_trial_shows_the_image_and_epoch_of_its_address(client: TestClient, scene: Scene) -> None:
    """Without a script: photo, truth and prediction, in the box of that image."""
    first = client.get("/studies/1/trials/2").text
    (epoch,) = re.findall(r"<option selected>(\d+)</option>", first)
    assert epoch == "12"
    places = re.findall(r'href="\?image=(\d+)#masks"', first)
    other = client.get(f"/studies/1/trials/2?image={places[3]}&epoch=3").text
    assert re.findall(r"<option selected>(\d+)</option>", other) == ["1"]
    panes = other[other.index('class="panes"') :]
    assert len(set(re.findall(r'viewBox="(\d+ \d+ 128 96)"', panes))) == 1
    assert "384 0 128 96" in panes
    assert f"image={places[3]}&amp;epoch=3" in other  # also what a live update asks for


def test_files_of_a_trial_are_not_its_pictures(client: TestClient, scene: Scene) -> None:
    """The list of artifacts has what one downloads."""
    page = client.get("/studies/1/trials/2").text
    artifacts = page[page.index('id="artifacts"') :]
    assert "predictions-12.png" not in artifacts


def test_a_viewer_is_told_what_lies_where(client: TestClient, scene: Scene) -> None:
    """The sheets of a trial by epoch, and the colours of its classes."""
    answer = client.get("/partials/studies/1/trials/2/examples")
    assert answer.headers["cache-control"] == "no-store"
    assert [sheet["step"] for sheet in answer.json()["predictions"]] == [1, 12]
    assert answer.json()["classes"][0] == {"name": "sky", "colour": "#56b4e9"}


def test_names_of_images_are_text(client: TestClient, db: Database, settings: Settings) -> None:
    """What a file is called runs nowhere."""
    scene = Scene.submit(db)
    work = scene.take()
    scene.report(work, 1)
    pictures.hand_in(scene, settings, work, 1, name="<script>alert(1)</script>")
    for path in ("/studies/1", "/studies/1/images", "/studies/1/trials/0"):
        page = client.get(path).text
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page


def test_an_address_says_only_what_is_unusual() -> None:
    """What is left out is the default."""
    assert ImagesQuery().text == ""
    asked = ImagesQuery(sort="miou", descending=False, filter="a b", opacity=0, show="errors")
    assert asked.text == "?sort=miou&descending=0&filter=a+b&opacity=0&show=errors"
    assert asked.sorted_by("miou").descending
    assert asked.sorted_by("image.1") == ImagesQuery(
        "image.1", filter="a b", opacity=0, show="errors"
    )
