"""The page of a trial: what it shows in every state, and what its forms do."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.dashboard.scenes import Scene
from tests.dashboard.staging import staged
from tuner.service import overview, studies
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import TrialState
from tuner.spec.views import StudyChange, StudyView
from tuner.store.engine import Database

ORIGIN = {"origin": "http://localhost"}
STUDY = "camvid-street"


@pytest.fixture
def scene(db: Database) -> Scene:
    """A study whose trial 0 has completed, 1 has failed, and 2 runs."""
    return Scene(db, _three_trials(db))


@staged
def _three_trials(db: Database) -> StudyView:
    scene = Scene.submit(db)
    scene.train()
    failed = scene.take("gpu-1")
    scene.report(failed, 1, 2)
    scene.finish(failed, OutcomeKind.FAILED, 2, error="loss is nan", error_kind="diverged")
    scene.report(scene.take("gpu-2"), 1, 2, 3)
    return scene.study


def press(client: TestClient, address: str, fields: dict[str, Any] | None = None) -> Any:
    """Send a form of our own page."""
    return client.post(address, data=fields or {}, headers=ORIGIN, follow_redirects=False)


def trial(db: Database, number: int) -> Any:
    """A trial as it is now."""
    return overview.trial(db, STUDY, number)


def filled(client: TestClient, number: int, **changes: str) -> dict[str, str]:
    """The clone form of a trial as a browser sends it."""
    html = client.get(f"/studies/1/trials/{number}").text
    form = html[html.index('id="clone-form"') :]
    form = form[: form.index("</form>")]
    fields = dict(re.findall(r'<input id="clone-\d+" name="([^"]+)"[^>]* value="([^"]*)"', form))
    for name, options in re.findall(
        r'<select id="clone-\d+" name="([^"]+)".*?>(.*?)</select>', form, re.DOTALL
    ):
        (value,) = re.findall(r'<option value="([^"]*)" selected', options)
        fields[name] = value.replace("&#34;", '"')
    return fields | changes


def test_a_failed_trial_is_tried_again(client: TestClient, scene: Scene) -> None:
    """Its page has the button, which lets it wait and leads back; then there is none."""
    before = client.get("/studies/1/trials/1").text
    answer = press(client, "/studies/1/trials/1/retry")

    assert 'action="/studies/1/trials/1/retry"' in before
    assert (303, "/studies/1/trials/1") == (answer.status_code, answer.headers["location"])
    assert TrialState.WAITING is trial(scene.db, 1).state
    assert "/trials/1/retry" not in client.get("/studies/1/trials/1").text


@pytest.mark.parametrize("number", [0, 2])
def test_no_other_trial_offers_to_be_tried_again(
    client: TestClient, scene: Scene, number: int
) -> None:
    """And whoever asks nevertheless is told why not."""
    answer = press(client, f"/studies/1/trials/{number}/retry")

    assert "/retry" not in client.get(f"/studies/1/trials/{number}").text
    assert 409 == answer.status_code
    assert "only a failed trial can be tried again" in answer.text


def test_a_running_trial_is_cancelled(client: TestClient, scene: Scene) -> None:
    """Its worker is told with the next report; one that has ended has no such button."""
    answer = press(client, "/studies/1/trials/2/cancel")

    assert 303 == answer.status_code
    assert "stop" == trial(scene.db, 2).verdict.action
    assert 'id="cancel"' not in client.get("/studies/1/trials/0").text


def test_a_clone_is_a_trial_by_hand(client: TestClient, scene: Scene) -> None:
    """With the edited value, and all others as they were; the answer leads to its page."""
    fields = filled(client, 2)
    edited = {name: "3e-4" for name in fields if name.startswith("optimizer.weight_decay")}
    answer = press(client, "/studies/1/trials/2/clone", fields | edited)
    clone, original = trial(scene.db, 3), trial(scene.db, 2)

    assert (303, "/studies/1/trials/3") == (answer.status_code, answer.headers["location"])
    assert ("user", TrialState.WAITING) == (clone.source, clone.state)
    assert {**original.params, "optimizer.weight_decay": 3e-4} == clone.params


def test_a_mistake_comes_back_at_its_field(client: TestClient, scene: Scene) -> None:
    """The page comes with the form open, as it was filled, and enqueues nothing."""
    fields = filled(client, 2, **{"optimizer.weight_decay@0": "much"})
    answer = press(client, "/studies/1/trials/2/clone", fields)
    page = answer.text

    assert 422 == answer.status_code
    assert re.search(r'<details class="menu clone"[^>]* open>', page)
    assert "“much” is not a number" in page
    assert 'value="much"' in page
    assert 3 == overview.study(scene.db, STUDY).counts.total


def test_what_the_rules_refuse_comes_back_too(client: TestClient, scene: Scene) -> None:
    """A value that no config may have is refused as the API refuses it, at its field."""
    fields = filled(client, 2, **{"training.batch_size@0": "-4"})
    answer = press(client, "/studies/1/trials/2/clone", fields)
    control = answer.text[answer.text.index('data-path="training.batch_size"') :]

    assert 422 == answer.status_code
    assert re.search(r'<p class="bad" id="clone-\d+-error">[^<]+</p>', control.split("</div>")[0])
    assert 3 == overview.study(scene.db, STUDY).counts.total


def test_a_study_that_is_over_offers_nothing(client: TestClient, scene: Scene) -> None:
    """Of a cancelled study no trial goes on or is added."""
    studies.change(scene.db, STUDY, StudyChange(state="cancelled"))
    html = client.get("/studies/1/trials/1").text

    assert 'id="clone"' not in html
    assert "/retry" not in html


@pytest.mark.parametrize("action", ["retry", "cancel", "clone"])
def test_other_sites_change_no_trial(client: TestClient, scene: Scene, action: str) -> None:
    """A form of another origin is refused."""
    headers = {"origin": "https://evil.example"}

    assert 403 == client.post(f"/studies/1/trials/1/{action}", headers=headers).status_code
    assert TrialState.FAILED is trial(scene.db, 1).state


def test_classes_show_their_change_since_the_evaluation_before(
    client: TestClient, scene: Scene
) -> None:
    """The difference of the last two epochs; after the first epoch there is none."""
    html = client.get("/studies/1/trials/2").text
    before, after = (step.metrics["iou.car"] for step in overview.steps(scene.db, STUDY, 2)[-2:])
    row = re.search(
        r'<tr id="class-\d+"><th scope="row"[^>]*>(?:<svg.*?</svg>)?car</th>.*?</tr>',
        html,
        re.DOTALL,
    )

    assert row is not None
    assert f"{abs(after - before):.3f}" in row.group()
    assert "change since epoch 2" in html


def test_classes_have_the_colours_of_their_masks(client: TestClient, scene: Scene) -> None:
    """Each its own, as it is painted in pictures."""
    html = client.get("/studies/1/trials/2").text
    found = re.findall(r'class="swatch".*?fill="(#[0-9a-f]{6})"', html)

    assert 9 == len(found) == len(set(found))


def test_curves_are_numbers_for_a_script(client: TestClient, scene: Scene) -> None:
    """The same curves as on the page, with the axis and the smoothing of the address."""
    address = "/partials/studies/1/trials/2/curves?view=classes&axis=time&smooth=0.6"
    found = client.get(address).json()

    assert ("time", "seconds", 9) == (found["axis"], found["unit"], len(found["lines"]))
    assert all(3 == len(line["points"]) == len(line["smoothed"]) for line in found["lines"])


def test_an_axis_that_was_not_reported_is_not_offered(client: TestClient, scene: Scene) -> None:
    """Workers of earlier releases do not say how many images they saw."""
    html = client.get("/studies/1/trials/2").text

    assert "axis=time" in html
    assert "axis=images" not in html


def test_the_address_keeps_what_was_chosen(client: TestClient, scene: Scene) -> None:
    """Every link of the panel, the live partial and the neighbours have it."""
    html = client.get("/studies/1/trials/2?axis=time&smooth=0.6&matrix=counts").text

    assert (
        'data-live="/partials/studies/1/trials/2?axis=time&amp;smooth=0.6&amp;matrix=counts"'
        in html
    )
    assert (
        'href="/studies/1/trials/2?view=classes&amp;axis=time&amp;smooth=0.6&amp;matrix=counts"'
        in html
    )
    assert 'href="/studies/1/trials/1?axis=time&amp;smooth=0.6&amp;matrix=counts"' in html


@pytest.mark.parametrize("query", ["axis=years", "smooth=2", "view=all", "matrix=x"])
def test_what_no_page_has_is_a_page_that_says_so(
    client: TestClient, scene: Scene, query: str
) -> None:
    """An address that somebody wrote by hand gives no crash."""
    assert 422 == client.get(f"/studies/1/trials/2?{query}").status_code


def test_a_waiting_trial_has_a_page(client: TestClient, scene: Scene) -> None:
    """Before the first report every panel says what will be there."""
    press(client, "/studies/1/trials/2/clone", filled(client, 2))
    html = client.get("/studies/1/trials/3").text

    assert "Curves grow here with the first report." in html
    assert "No worker has taken this trial yet." in html


def test_the_best_value_is_said_with_its_epoch(client: TestClient, db: Database) -> None:
    """Both are those of the reported epochs."""
    scene = Scene.submit(db)
    scene.report(scene.take(), *range(1, 8))
    steps = client.get("/api/v1/studies/1/trials/0/steps").json()
    best = max(steps, key=lambda one: one["metrics"]["miou"])
    facts = re.sub(r"<[^>]+>", " ", client.get("/studies/1/trials/0").text)
    said = rf"Best value\s+{best['metrics']['miou']:.3f}\s+at epoch {best['step']}\b"
    assert re.search(said, facts)


@pytest.mark.parametrize(
    ("has_ended", "said"), [(True, "It has handed in no file"), (False, "No file has come up yet")]
)
def test_a_trial_without_files_says_whether_any_may_come(
    client: TestClient, db: Database, has_ended: bool, said: str
) -> None:
    """Nothing comes up once it has ended."""
    scene = Scene.submit(db)
    if has_ended:
        scene.train()
    else:
        scene.take()
    assert said in client.get("/studies/1/trials/0").text
