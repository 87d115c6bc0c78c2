"""The pages of workers and of the queue, and the log on the page of a trial: what they show."""

import re

import pytest
from starlette.testclient import TestClient

import tuner
from api.dashboard.queue_page import reason
from api.dashboard.words import speaking
from tests.dashboard.fleets import LOG, ask, fleet_at_work, train_fast
from tests.dashboard.scenes import Scene
from tuner.spec.fleet import QueueEntry, Why
from tuner.spec.messages import Capabilities, Device
from tuner.spec.states import StudyState
from tuner.store.engine import Database


@pytest.fixture
def running(db: Database) -> int:
    """The number of the trial that runs in a fleet in every state."""
    return fleet_at_work(db)[0]


def text(html: str) -> str:
    """What a reader sees of a page, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def row(client: TestClient, path: str, key: str) -> str:
    """What a row of a page says."""
    found = re.search(rf'<tr id="{key}".*?</tr>', client.get(path).text, re.DOTALL)
    assert found is not None, key
    return text(found[0])


def test_workers_are_shown_at_work(client: TestClient, running: int) -> None:
    """Use, memory, trial, pace, losses and release of each; the other release is marked."""
    busy = row(client, "/workers", "worker-gpu-0")
    assert f"camvid-street #{running} 8/12" in busy
    assert "97 % 90 % 71.3 of 79.6 GB" in busy
    assert "412.7" in busy
    assert f"0.0.9 ≠ {tuner.__version__}" in row(client, "/workers", "worker-cpu-node")
    assert "ends its trial, then no other" in row(client, "/workers", "worker-gpu-1")
    assert "drained may be stopped" in row(client, "/workers", "worker-gpu-2")


def test_a_worker_of_several_slots_says_how_many(client: TestClient, db: Database) -> None:
    """The trial that it took last, how many others, and the pace of all of them."""
    scene = Scene.submit(db, "streets", parallel=4)
    for speed in (100.0, 50.5, 0.0):
        train_fast(scene, scene.take("gpu-9"), 1, speed)
    device = Device(kind="cuda", name="NVIDIA H100", memory_gb=79.6)
    ask(db, "gpu-9", Capabilities(device=device, slots=4))
    shown = row(client, "/workers", "worker-gpu-9")
    assert "cuda:0 · up to 4 trials at once" in shown
    assert "streets #2" in shown
    assert "and 2 other trials" in shown
    assert "150.5" in shown


def test_a_worker_is_drained_by_a_form(client: TestClient, running: int) -> None:
    """The button turns round; a name that nobody has is a page that says so."""
    answer = client.post("/workers/gpu-0/drain", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/workers")
    assert 'action="/workers/gpu-0/undrain"' in client.get("/workers").text
    client.post("/workers/gpu-0/undrain")
    assert 'action="/workers/gpu-0/drain"' in client.get("/workers").text
    answer = client.post("/workers/nobody/drain")
    assert answer.status_code == 404
    assert "no worker is called &#39;nobody&#39;" in answer.text
    assert client.post("/workers/gpu-0/reboot").status_code == 422


def test_lost_trials_say_what_became_of_them(client: TestClient, running: int) -> None:
    """Of all workers, or of one by the number in its row."""
    found = row(client, "/workers", f"lost-1-{running}-1")
    assert "gpu-3" in found
    assert "its lease ran out" in found
    assert "running attempt 2 went to gpu-1 · 8/12" in found
    mine = client.get("/workers?worker=gpu-1").text
    assert f"lost-1-{running}-2" in mine
    assert f"lost-1-{running}-1" not in mine
    assert 'data-live="/partials/workers?worker=gpu-1"' in mine
    assert client.get("/workers?worker=nobody").status_code == 404
    assert client.get("/workers?cursor=x").status_code == 422


def test_an_empty_fleet_says_how_to_start_a_worker(client: TestClient) -> None:
    """The command has this server's address; there is nothing that could be lost."""
    page = client.get("/workers").text
    assert "segtune worker --server http://localhost" in page
    assert "Lost trials" not in page


def test_the_queue_says_why(client: TestClient, running: int) -> None:
    """In the order of the turns, each with what waits and the reason."""
    page = client.get("/queue").text
    order = re.findall(r'<tr id="entry-(\d)"', page)
    assert order == ["3", "1", "2"]
    assert "cpu-node is free and takes it next" in row(client, "/queue", "entry-3")
    assert "but aerial-roofs comes first" in row(client, "/queue", "entry-1")
    assert "as many as its parallel allows" in row(client, "/queue", "entry-2")


def test_a_priority_is_raised_and_lowered(client: TestClient, running: int) -> None:
    """By ten, between 0 and 100; the queue is another one then."""
    answer = client.post("/queue/1/priority", data={"priority": "60"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/queue")
    assert re.findall(r'<tr id="entry-(\d)"', client.get("/queue").text)[0] == "1"
    client.post("/queue/1/priority", data={"priority": "100"})
    page = client.get("/queue").text
    assert 'value="100" disabled' in page
    assert 'value="90"' in page
    for wrong in ("", "101", "-1", "many", "9" * 5000, "٣"):
        assert client.post("/queue/1/priority", data={"priority": wrong}).status_code == 422


def test_nothing_waits(client: TestClient) -> None:
    """An empty queue says what would stand in it."""
    assert "Nothing waits" in client.get("/queue").text


@pytest.mark.parametrize("why", list(Why))
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_reason_has_words(why: Why, count: int) -> None:
    """However many workers and studies it names, in every language."""
    names = tuple(f"name{index}" for index in range(count))
    entry = QueueEntry(
        place=None,
        study="s",
        study_id=1,
        state=StudyState.RUNNING,
        priority=50,
        weight=1,
        waiting=0,
        running=count,
        paused=0,
        left=0,
        parallel=count,
        share=0,
        why=why,
        reason="",
        detail="what is missing",
        workers=names,
        free=names,
        behind=names,
    )
    for language in ("en", "zh"):
        with speaking(language):
            said = reason(entry)
        assert said
        assert "%(" not in said


def test_a_log_is_on_the_page_of_its_trial(client: TestClient, running: int) -> None:
    """That of the last attempt, or of another; as a file too; and what there is not is said."""
    address = f"/studies/1/trials/{running}"
    page = client.get(address).text
    assert f'data-src="/api/v1{address}/log?attempt=3"' in page
    assert "epoch 59: miou" in page
    before = client.get(f"{address}?attempt=1").text
    assert "Its worker has sent no log." in before
    assert f'data-live="/partials{address}?attempt=1"' in before
    file = client.get(f"{address}/log.txt?attempt=3")
    assert file.text == LOG
    assert f'filename="trial-{running}-attempt-3.log"' in file.headers["content-disposition"]
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.get(f"{address}?attempt=9").status_code == 404


def test_a_log_cannot_become_markup(client: TestClient, db: Database) -> None:
    """What a trainer prints is text, whatever it looks like."""
    scene = fleet_at_work(db)[1]
    held = scene.take("gpu-0")
    client.put(
        f"/api/v1/leases/{held.lease}",
        json={"log": "</pre><script>alert(1)</script>"},
        headers={"Lease-Token": held.token},
    )
    page = client.get(f"/studies/1/trials/{held.trial}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
