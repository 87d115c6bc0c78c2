import json
import threading
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from tests.api.samples import JSON, YAML, study, train
from tuner.spec.views import Best, Plan, StudyView


def test_submit(any_client: TestClient) -> None:
    """A new study is answered with 201, its view and its address."""
    answer = any_client.post("/api/v1/studies", json=study())

    view = StudyView.model_validate_json(answer.content)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/studies/{view.id}"
    assert any_client.get(answer.headers["location"]).json() == answer.json()
    assert any_client.get("/api/v1/studies/street").json() == answer.json()


@pytest.mark.parametrize("kind", ["application/yaml", "application/x-yaml", "text/yaml"])
def test_submit_yaml(client: TestClient, kind: str) -> None:
    """The same study as YAML and as JSON is the same study."""
    text = yaml.safe_dump(study())
    as_yaml = client.post(
        "/api/v1/studies?dry_run=true", content=text, headers={"Content-Type": kind}
    )
    as_json = client.post("/api/v1/studies?dry_run=true", json=study())

    assert as_yaml.status_code == 200
    assert as_json.json() == as_yaml.json()


def test_dry_run(client: TestClient) -> None:
    """A dry run answers with the plan and stores nothing."""
    answer = client.post("/api/v1/studies", params={"dry_run": True}, json=study())

    plan = Plan.model_validate_json(answer.content)
    assert answer.status_code == 200
    assert plan.trials == 4
    assert plan.worst_case_epochs == 12
    assert client.get("/api/v1/studies").json()["items"] == []


def test_dry_run_with_a_price(client: TestClient) -> None:
    """Whoever knows an epoch's time gets hours for so many workers; nonsense is refused."""
    query = {"dry_run": True, "epoch_seconds": 300, "workers": 2}
    answer = client.post("/api/v1/studies", params=query, json=study())
    wrong = client.post("/api/v1/studies", params={**query, "workers": 0}, json=study())

    cost = Plan.model_validate_json(answer.content).cost
    assert cost is not None
    assert (cost.worst_device_hours, cost.worst_wall_hours, cost.source) == (1.0, 0.5, "as given")
    assert wrong.status_code == 422


def test_idempotency_key(any_client: TestClient) -> None:
    """The same key creates a study once, and refuses another study."""
    headers = {"Idempotency-Key": "k-1"}
    first = any_client.post("/api/v1/studies", json=study(), headers=headers)
    again = any_client.post("/api/v1/studies", json=study(), headers=headers)
    other = any_client.post("/api/v1/studies", json=study("other"), headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json()


def test_name_taken(client: TestClient) -> None:
    """A second study of the same name is a conflict."""
    client.post("/api/v1/studies", json=study())
    answer = client.post("/api/v1/studies", json=study())

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:segtune:conflict"


def test_every_mistake_is_located(client: TestClient) -> None:
    """A study with several mistakes gets one answer that names the place of each."""
    wrong = study(space={"optimizer.lrr": {"float": [0.1, 0.2]}}, priority=101)
    answer = client.post("/api/v1/studies", json=wrong)

    places = [problem["location"] for problem in answer.json()["problems"]]
    assert answer.status_code == 422
    assert ["priority"] in places
    assert any(place[:2] == ["space", "optimizer.lrr"] for place in places)


def test_list_by_state(client: TestClient) -> None:
    """The list is filtered by state, newest first."""
    for name in ("a", "b", "c"):
        client.post("/api/v1/studies", json=study(name))
    client.patch("/api/v1/studies/b", json={"state": "paused"})

    queued = client.get("/api/v1/studies", params={"state": "queued"}).json()["items"]
    assert [item["name"] for item in queued] == ["c", "a"]


def test_change(client: TestClient) -> None:
    """A change of state and budget is answered with the study as it is then."""
    client.post("/api/v1/studies", json=study())
    answer = client.patch("/api/v1/studies/street", json={"state": "paused", "trials": 9})

    assert answer.status_code == 200
    assert answer.json()["state"] == "paused"
    assert answer.json()["budget"] == 9


def test_illegal_change(client: TestClient) -> None:
    """A cancelled study does not run again."""
    client.post("/api/v1/studies", json=study())
    client.patch("/api/v1/studies/street", json={"state": "cancelled"})
    answer = client.patch("/api/v1/studies/street", json={"state": "running"})

    assert answer.status_code == 409


def test_clone(client: TestClient) -> None:
    """A clone is a new study with the keys that were given."""
    client.post("/api/v1/studies", json=study())
    answer = client.post(
        "/api/v1/studies/street/clone", json={"name": "copy", "changes": {"priority": 80}}
    )

    assert answer.status_code == 201
    assert answer.json()["name"] == "copy"
    assert answer.json()["priority"] == 80
    assert client.get(answer.headers["location"]).json() == answer.json()


def test_delete(client: TestClient) -> None:
    """A deleted study is gone; one with running trials stays."""
    client.post("/api/v1/studies", json=study())
    client.post("/api/v1/leases", json={"worker": "w"})
    client.post("/api/v1/studies", json=study("idle"))

    assert client.delete("/api/v1/studies/street").status_code == 409
    assert client.delete("/api/v1/studies/idle").status_code == 204
    assert client.get("/api/v1/studies/idle").status_code == 404


def test_undo_a_deletion(client: TestClient) -> None:
    """A deleted study comes back by its name as it was, also one whose trials ran."""
    client.post("/api/v1/studies", json=study())
    client.post("/api/v1/leases", json={"worker": "w"})

    assert client.delete("/api/v1/studies/street", params={"cancel": True}).status_code == 204
    restored = client.post("/api/v1/studies/street/restore")
    assert restored.status_code == 200
    assert restored.json()["state"] == "running"
    assert client.post("/api/v1/studies/street/restore").status_code == 409
    assert client.post("/api/v1/studies/none/restore").status_code == 404


def test_best(any_client: TestClient) -> None:
    """The best configuration comes as JSON and as YAML, and both say the same."""
    any_client.post("/api/v1/studies", json=study())
    train(any_client, miou=0.4)
    winner = train(any_client, miou=0.6)
    as_json = any_client.get("/api/v1/studies/street/best")
    as_yaml = any_client.get("/api/v1/studies/street/best", params={"format": "yaml"})

    best = Best.model_validate_json(as_json.content)
    assert best.trial == winner
    assert best.metrics["miou"] == 0.6
    assert as_yaml.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(as_yaml.text) == as_json.json()


def test_no_best_yet(client: TestClient) -> None:
    """Without a completed trial there is no best one, and the answer says why."""
    client.post("/api/v1/studies", json=study())
    answer = client.get("/api/v1/studies/street/best")

    assert answer.status_code == 404
    assert "no completed trial" in answer.json()["detail"]


def test_curves_and_history(client: TestClient) -> None:
    """Curves give each trial's metric by step; history the best value so far."""
    client.post("/api/v1/studies", json=study())
    train(client, miou=0.4)
    train(client, miou=0.3)
    curves = client.get("/api/v1/studies/street/curves", params={"metric": "miou"}).json()
    history = client.get("/api/v1/studies/street/history").json()
    none = client.get("/api/v1/studies/street/curves", params={"state": ["running"]}).json()

    assert {tuple(curve["values"]) for curve in curves} == {(0.4, 0.4, 0.4), (0.3, 0.3, 0.3)}
    assert [point["best"] for point in history] == [0.4, 0.4]
    assert none == []


def test_pareto(client: TestClient) -> None:
    """With two objectives the front holds what nothing beats in both."""
    objectives = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    client.post("/api/v1/studies", json=study(objectives=objectives))
    train(client, miou=0.4)
    better = train(client, miou=0.5)

    front = client.get("/api/v1/studies/street/pareto").json()
    assert [trial["number"] for trial in front] == [better]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"[" * 5000, JSON, 400),
        (b'{"name": NaN}', JSON, 422),
        (b"[1, 2]", JSON, 422),
        (b"null", JSON, 422),
        (b'"street"', JSON, 422),
        (b'{"name": "a\\u0000b"}', JSON, 422),
        (b'{"priority": 1e999}', JSON, 422),
        (b"a: [", YAML, 400),
        (b"\xff\xfe\xff", YAML, 400),
        (b"a: 1\na: 2", YAML, 400),
        (b'{"a": 1, "a": 2}', JSON, 400),
        (b"{" * 5000, YAML, 400),
        (b"", YAML, 422),
        (b"1: 2", YAML, 422),
        (b"a: !!python/object:os.system {}", YAML, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": ""}, 415),
        (b" " * (2**20 + 1), JSON, 413),
        (b" " * (2**18 + 1), YAML, 413),
    ],
)
def test_bad_body(client: TestClient, content: bytes, headers: dict[str, str], status: int) -> None:
    """Whatever cannot be a study gets a problem body, never a server error."""
    answer = client.post("/api/v1/studies", content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["status"] == status


def test_front(client: TestClient) -> None:
    """The front has a point per completed trial; a reference needs a value per objective."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    client.post("/api/v1/studies", json=study(objectives=both))
    train(client, miou=0.6)
    url = "/api/v1/studies/street/front"

    assert client.get(url).json()["hypervolume"] == 0
    found = client.get(url, params={"reference": [0.1, 3.0]}).json()
    assert found["hypervolume"] == pytest.approx(1.0)
    assert found["steps"][0]["on_front"] is True
    assert client.get(url, params={"reference": [0.1]}).status_code == 422


def test_importance(client: TestClient) -> None:
    """The shares of the searched params, by any metric; a wrong one is a mistake."""
    client.post("/api/v1/studies", json=study(search={"sampler": "random", "trials": 6}))
    for miou in (0.1, 0.2, 0.3, 0.4, 0.5):
        train(client, miou=miou)
    url = "/api/v1/studies/street/importance"

    found = client.get(url).json()
    assert (found["trials"], found["epoch"], found["shares"]) == (5, 3, {"optimizer.lr": 1.0})
    assert client.get(url, params={"objective": "iou.bus"}).status_code == 422


def test_an_explanation(client: TestClient) -> None:
    """What mattered, by any metric; a wrong metric is a mistake, a wrong study is not found."""
    client.post("/api/v1/studies", json=study(search={"sampler": "random", "trials": 6}))
    for miou in (0.1, 0.2, 0.3, 0.4, 0.5):
        train(client, miou=miou)
    url = "/api/v1/studies/street/explanation"

    found = client.get(url, params={"objective": "miou"}).json()
    assert (found["study"], found["trials"], found["ended"], found["epoch"]) == ("street", 5, 5, 3)
    assert [each["path"] for each in found["importance"]] == ["optimizer.lr"]
    assert (found["best"], found["failures"]) == (None, [])
    assert client.get(url, params={"objective": "iou.bus"}).status_code == 422
    assert client.get("/api/v1/studies/lost/explanation").status_code == 404


def test_the_sources_of_the_draws(client: TestClient) -> None:
    """The samplers that share them, and who drew a trial; none where one draws by itself."""
    client.post("/api/v1/studies", json=study(search={"trials": 6}))
    train(client, miou=0.1)
    train(client, miou=0.2)

    found = client.get("/api/v1/studies/street/sources").json()
    assert {each["source"]: each["trials"] for each in found} == {
        "gp": 0,
        "rung_tpe": 0,
        "random": 1,
    }
    assert sum(each["share"] for each in found) == pytest.approx(1)
    drawn = [
        client.get(f"/api/v1/studies/street/trials/{number}").json()["drawn_by"]
        for number in (0, 1)
    ]
    assert drawn == [None, "random"]
    client.post("/api/v1/studies", json=study(name="plain", search={"sampler": "random"}))
    assert client.get("/api/v1/studies/plain/sources").json() == []


def test_fanova_is_computed_in_the_background(client: TestClient) -> None:
    """The first reply has PED-ANOVA's shares and says so; a later one has what was asked for."""
    client.post("/api/v1/studies", json=study(search={"sampler": "random", "trials": 6}))
    for miou in (0.1, 0.2, 0.3, 0.4, 0.5):
        train(client, miou=miou)
    url, query = "/api/v1/studies/street/importance", {"method": "fanova"}

    first = client.get(url, params=query).json()
    assert (first["method"], first["state"], first["trials"]) == ("ped_anova", "computing", 5)
    is_done = threading.Event()
    app: Any = client.app
    app.state.opened.searches.background(is_done.set)
    assert is_done.wait(60)
    found = client.get(url, params=query).json()
    assert (found["method"], found["state"], found["trials"]) == ("fanova", "ready", 5)
    assert found["shares"]["optimizer.lr"] == pytest.approx(1)
    assert client.get(url, params={"method": "shap"}).status_code == 422


def test_a_study_is_ranked_by_another_metric(client: TestClient) -> None:
    """`?objective=` chooses the best and the ranking by any reported metric."""
    client.post("/api/v1/studies", json=study())
    for miou in (0.4, 0.6):
        train(client, miou=miou)
    url, query = "/api/v1/studies/street", {"objective": "train_loss"}

    assert client.get(f"{url}/best").json()["trial"] == 1
    assert client.get(f"{url}/best", params=query).json()["trial"] == 0
    ranking = client.get(f"{url}/ranking", params=query).json()
    assert [(row["trial"], row["own"]) for row in ranking] == [(0, 0.4), (1, 0.6)]
    wrong = client.get(f"{url}/best", params={"objective": "iou.bus"})
    assert wrong.status_code == 422
    assert "iou.car" in wrong.json()["problems"][0]["message"]
