"""Pages of a study whose best epochs count say at which epoch a value is."""

import re

import pytest
from starlette.testclient import TestClient

from tests.dashboard.scenes import Scene, document
from tuner.service import studies
from tuner.spec.study import StudySpec
from tuner.store.engine import Database

# Scores rise with the epochs, so that the lowest is known: the first of them.
FIRST = [{"metric": "miou", "direction": "minimize", "at": "best"}]


@pytest.fixture
def scene(db: Database) -> Scene:
    """Two trials that were trained to their end, on which the first epoch counts."""
    # No user may ask for the lowest; of the highest nobody knows beforehand which it is.
    view, _ = studies.submit(db, StudySpec.model_validate(document(objectives=FIRST)))
    scene = Scene(db, view)
    scene.train()
    scene.train()
    return scene


def words(html: str) -> str:
    """The text of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_studys_page_says_at_which_epoch_its_values_are(client: TestClient, scene: Scene) -> None:
    """In its head, beside the best configuration, and in a column of the table."""
    html = client.get("/studies/1").text

    assert "minimize miou at the best epoch ·" in words(html)
    assert '<span class="muted" id="best-epoch">at epoch 1</span>' in html
    assert 'id="sort-value_step"' in html
    asked = {"sort": "value_step", "filter": "value_step = 1"}
    assert 200 == client.get("/studies/1", params=asked).status_code


def test_a_trials_page_is_of_the_epoch_that_counts(client: TestClient, scene: Scene) -> None:
    """Its value, the scores of its classes, and its confusion matrix."""
    html = client.get("/studies/1/trials/1").text
    steps = client.get("/api/v1/studies/1/trials/1/steps").json()

    assert f"miou {steps[0]['metrics']['miou']:.3f} at epoch 1" in words(html)
    assert "IoU at epoch 1, best first" in words(html)
    assert "change since" not in words(html)
    shown = client.get("/partials/studies/1/trials/1/confusion").json()
    detail = client.get("/api/v1/studies/1/trials/1").json()
    assert shown == detail["confusion"]
    assert detail["metrics"] == steps[0]["metrics"]


def test_a_comparison_says_that_metrics_are_of_the_epoch_that_counts(
    client: TestClient, scene: Scene
) -> None:
    """And not of the last, as in other studies."""
    html = words(client.get("/compare?trials=1:0,1:1").text)

    assert "Metrics of the epoch that counts" in html
    assert "Metrics of the last epoch" not in html


def test_a_study_whose_last_epochs_count_says_nothing_of_others(
    client: TestClient, db: Database
) -> None:
    """Its pages are as they were."""
    Scene.submit(db).train()
    html = client.get("/studies/1").text

    assert "at the best epoch" not in html
    assert 'id="best-epoch"' not in html
    assert "sort-value_step" not in html
