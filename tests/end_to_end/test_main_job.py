"""The main job: POST a study, workers train it, pull best.json, train it again."""

import json

import httpx
import pytest
import yaml

from tests.end_to_end.cluster import Cluster, assert_whole, light_study
from tuner.spec.states import StudyState


@pytest.mark.timeout(600)
def test_a_study_is_posted_trained_and_its_best_config_trains_again_to_the_same_number(
    shared_town: Cluster,
) -> None:
    """REST in, real training by two workers, JSON out, the same mIoU bit for bit."""
    town = shared_town
    answer = httpx.post(
        f"{town.client.server}/api/v1/studies",
        content=yaml.safe_dump(light_study("street", trials=3)),
        headers={"Content-Type": "application/yaml"},
    )
    assert 201 == answer.status_code, answer.text
    study = town.client.wait("street", timeout=300)

    assert StudyState.FINISHED is study.state, town.log("one")
    assert 3 == study.counts.completed
    assert_whole(town.client, "street")
    saved = town.run("best", "street", "-o", "best.json")
    assert 0 == saved.returncode, saved.stderr
    best = json.loads((town.folder / "best.json").read_text())
    assert study.best_value == best["metrics"]["miou"]
    again = town.run("train", "best.json", "--device", "cpu")
    assert 0 == again.returncode, again.stderr
    assert "bit for bit" in again.stdout
    assert "differ" not in again.stdout
