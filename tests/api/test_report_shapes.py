"""Reports are checked at the door: what does not fit is a 422 that says why, and stores nothing."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.samples import lease_token, report, study

FITTING = [[3, 1], [0, 4]]


def _send(client: TestClient, *changes: dict[str, Any]) -> tuple[int, dict[str, Any], int]:
    """Send a batch, one report for each of `changes`: status and body, and steps then stored."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    reports = [
        {**report(step)["reports"][0], **change} for step, change in enumerate(changes, start=1)
    ]
    url, headers = f"/api/v1/leases/{lease['lease']}/reports", lease_token(lease)
    answer = client.post(url, json={"reports": reports}, headers=headers)
    return answer.status_code, answer.json(), len(client.get(STEPS).json())


STEPS = "/api/v1/studies/street/trials/0/steps"


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([], "no rows"),
        ([[]], "row 0 has 0 counts"),
        ([[1, 2]], "row 0 has 2 counts and the matrix 1 rows"),
        ([[1, 2], [3]], "row 1 has 1 counts"),
        ([[1, 2], [3, 4], [5, 6]], "row 0 has 2 counts and the matrix 3 rows"),
        ([[1, -2], [3, 4]], "row 0 holds -2"),
        ([[1, 2], [3, 2**63]], f"row 1 holds {2**63}"),
        ([[1, 2], [3, 10**40]], f"row 1 holds {10**40}"),
        ([[1, 2.5], [3, 4]], "integer"),
        ([[1, "two"], [3, 4]], "integer"),
        ("none", "tuple"),
        ([1, 2], "tuple"),
    ],
)
def test_a_matrix_is_a_square_of_counts(client: TestClient, matrix: Any, words: str) -> None:
    """What is no K×K matrix of int64 counts is named, and where it is; nothing is stored."""
    status, body, stored = _send(client, {}, {"confusion": matrix})

    assert (status, stored) == (422, 0)
    assert body["problems"][0]["location"][:3] == ["reports", 1, "confusion"]
    assert words in body["detail"]


@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_matrix_has_the_size_of_the_study(any_client: TestClient, size: int) -> None:
    """A matrix of another number of classes is refused with both sizes, with its whole batch."""
    other = [[1] * size] * size
    status, body, stored = _send(any_client, {"confusion": FITTING}, {"confusion": other})

    assert (status, stored) == (422, 0)
    assert f"{size}×{size}" in body["detail"]
    assert "2×2" in body["detail"]
    assert "step 2" in body["detail"]


@pytest.mark.parametrize("seconds", [1e300, 1e9, -1])
def test_the_time_of_a_step_has_bounds(client: TestClient, seconds: float) -> None:
    """Sums of it stay finite, so that no study is spent, or unreadable, by one report."""
    status, body, stored = _send(client, {"seconds": seconds})

    assert (status, stored) == (422, 0)
    assert [each["location"] for each in body["problems"]] == [["reports", 0, "seconds"]]


def test_the_kind_of_an_error_is_a_word(any_client: TestClient) -> None:
    """What no column holds is refused at the door."""
    any_client.post("/api/v1/studies", json=study())
    lease = any_client.post("/api/v1/leases", json={"worker": "w1"}).json()
    outcome = {"kind": "failed", "error_kind": "k" * 33}
    url = f"/api/v1/leases/{lease['lease']}/finish"

    assert any_client.post(url, json=outcome, headers=lease_token(lease)).status_code == 422


def test_a_matrix_of_the_largest_counts_fits(any_client: TestClient) -> None:
    """An int64 holds up to 2**63 - 1 pixels."""
    status, body, stored = _send(any_client, {"confusion": [[2**63 - 1, 0], [1, 2**63 - 1]]})

    assert (status, body["stored"], stored) == (200, 1, 1)


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        [],
        "good",
        {"": 1.0},
        {"x" * 301: 1.0},
        {"miou": None},
        {"miou": "good"},
        {"miou": [0.5]},
        {"miou": {"car": 0.5}},
        {f"iou.{number}": 0.5 for number in range(10_001)},
    ],
    ids=lambda metrics: str(metrics)[:20],
)
def test_metrics_are_numbers_by_name(client: TestClient, metrics: Any) -> None:
    """A metric is one number under a name of at most 300 characters."""
    status, body, stored = _send(client, {"metrics": metrics})

    assert (status, stored) == (422, 0)
    assert body["problems"][0]["location"][:3] == ["reports", 0, "metrics"]


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_numbers_that_no_float_holds_are_refused(client: TestClient, number: int) -> None:
    """An integer beyond a float's range is no metric."""
    status, _, stored = _send(client, {"metrics": {"miou": number}})

    assert (status, stored) == (422, 0)
