"""The table of trials as a file, from both databases: every trial, every value, exactly."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, running, study, train

NASTY = 'it broke, "badly", in ünïcode'
FORMULA = '=HYPERLINK("http://there","here")'
SPACE = {
    "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
    "optimizer.name": {"choice": ["sgd", "adamw"]},
}


@pytest.fixture(scope="module")
def filled(lasting_settings: Settings) -> Iterator[TestClient]:
    """A study with three completed trials, and two that failed with all that CSV must quote."""
    with running(lasting_settings) as client:
        _fill(client)
        yield client


def _fill(client: TestClient) -> None:
    search = {"sampler": "random", "pruner": "none", "trials": 5, "parallel": 2}
    client.post("/api/v1/studies", json=study(space=SPACE, search=search))
    for miou in (0.5, 0.1 + 0.2, 0.7):
        train(client, miou=miou)
    for error in (NASTY, FORMULA):
        lease = client.post("/api/v1/leases", json={"worker": "w2"}).json()
        client.post(
            f"/api/v1/leases/{lease['lease']}/finish",
            json={"kind": "failed", "step": 0, "error": error, "error_kind": "exception"},
            headers=lease_token(lease),
        )


def rows(client: TestClient, **query: Any) -> list[dict[str, str]]:
    """The CSV as the csv module reads it."""
    answer = client.get("/api/v1/studies/street/trials.csv", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="street-trials.csv"' in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


def test_csv_holds_what_the_api_lists(filled: TestClient) -> None:
    """Numbers keep all their digits, texts their commas and quotes; nothing is empty."""
    listed = filled.get("/api/v1/studies/street/trials").json()["items"]
    found = rows(filled)

    assert [int(row["number"]) for row in found] == [0, 1, 2, 3, 4]
    assert [row["state"] for row in found] == [trial["state"] for trial in listed]
    assert [float(row["metrics.miou"]) for row in found[:3]] == [0.5, 0.1 + 0.2, 0.7]
    assert [float(row["params.optimizer.lr"]) for row in found] == [
        trial["params"]["optimizer.lr"] for trial in listed
    ]
    assert found[3]["error"] == NASTY
    assert found[3]["metrics.miou"] == ""
    assert found[0]["created_at"] == listed[0]["created_at"].replace("Z", "+00:00")


def test_lines_end_as_the_standard_has_it(filled: TestClient) -> None:
    """RFC 4180: CR and LF after each, and as many cells in every one."""
    text = filled.get("/api/v1/studies/street/trials.csv").text
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))

    assert text.endswith("\r\n")
    assert {len(line) for line in lines} == {len(lines[0])}


def test_no_spreadsheet_runs_what_a_worker_sent(filled: TestClient) -> None:
    """A text that begins like a formula is kept from being one; numbers stay numbers."""
    assert rows(filled)[4]["error"] == f"'{FORMULA}"


def test_a_download_obeys_filter_and_order(filled: TestClient) -> None:
    """The same trials as the table shows, in its order, on every page."""
    query = {"filter": "miou > .4 or state = failed", "sort": "miou", "descending": True}

    assert [row["number"] for row in rows(filled, **query)] == ["2", "0", "3", "4"]


def test_json_holds_every_trial_with_its_metrics(filled: TestClient) -> None:
    """An array of what the API lists, each with all metrics of the last step."""
    answer = filled.get("/api/v1/studies/street/trials.json", params={"sort": "miou"})
    listed = filled.get("/api/v1/studies/street/trials", params={"sort": "miou"}).json()["items"]
    found = answer.json()

    assert answer.headers["content-type"] == "application/json"
    assert found[1]["metrics"] == {"miou": 0.5, "train_loss": 1.0}
    assert [{**trial, "metrics": {}} for trial in found] == listed


@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_empty_selection_is_an_empty_table(filled: TestClient, form: str) -> None:
    """A head without lines, an array without items."""
    answer = filled.get(f"/api/v1/studies/street/trials.{form}", params={"filter": "number > 99"})

    assert answer.status_code == 200
    if form == "json":
        assert answer.json() == []
    else:
        assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize(
    ("query", "status"),
    [({"filter": "miou >"}, 422), ({"sort": "miuo"}, 422), ({"metrics": "iou.cat"}, 422)],
)
def test_a_mistake_is_told_before_anything_is_sent(
    filled: TestClient, form: str, query: dict[str, str], status: int
) -> None:
    """Not as a file that ends in the middle."""
    answer = filled.get(f"/api/v1/studies/street/trials.{form}", params=query)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_study_that_is_not_there_has_no_table(filled: TestClient) -> None:
    """As anywhere else."""
    assert filled.get("/api/v1/studies/nobody/trials.csv").status_code == 404
