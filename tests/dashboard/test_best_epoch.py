"""Pages of a study whose best epochs count say at which epoch a value is."""

import re

import pytest
from starlette.testclient import TestClient

from api.dashboard.masks_panel import compared_masks
from tests.dashboard.scenes import Scene, document
from tuner.service import studies
from tuner.spec.example_views import Sheet, TrialExamples
from tuner.spec.examples import Example
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
    assert "Best value" not in words(html)
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


@pytest.mark.parametrize(("counts", "shown"), [(None, [6]), (6, [6]), (5, [3]), (3, [3]), (2, [])])
def test_masks_side_by_side_are_of_no_epoch_after_the_one_that_counts(
    counts: int | None, shown: list[int]
) -> None:
    """A later sheet is not of the trial's model."""
    image = Example(index=0, name="a", size=(8, 8), box=(0, 0, 8, 8))
    sheets = tuple(
        Sheet(width=8, height=8, images=(image,), id=step, sha256="0", step=step) for step in (3, 6)
    )
    trial = TrialExamples(
        study_id=1, study="s", trial=0, classes=(), predictions=sheets, value_step=counts
    )

    found = compared_masks([trial])
    assert found is not None
    assert [one.step for one in found.predictions] == shown
