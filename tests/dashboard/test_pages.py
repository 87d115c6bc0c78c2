"""Pages through ASGI on a real database."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.app import create_app
from api.dashboard import assets
from api.settings import Settings
from tests.dashboard.scenes import Scene, document
from tests.store.fleet import Fleet
from tests.store.populations import copies, population, run
from tuner.configs import checks
from tuner.service import artifacts, overview, pareto, studies
from tuner.spec.messages import OutcomeKind, Unfitness
from tuner.spec.states import StudyState
from tuner.store.artifacts import ArtifactStore, Upload
from tuner.store.engine import Database
from tuner.wording import metric

HOSTILE = "</script><img src=x onerror=alert(1)>\x00'\"&"
TOKEN = "correct horse battery staple"


@pytest.fixture
def scene(db: Database) -> Scene:
    """A study in full swing."""
    return Scene.played(db, 14, running=3)


@pytest.fixture
def locked(settings: Settings) -> Iterator[TestClient]:
    """A browser's requests to a server that asks for a token."""
    guarded = settings.model_copy(update={"token": SecretStr(TOKEN)})
    with TestClient(
        create_app(guarded),
        base_url="http://localhost",
        headers={"accept": "text/html"},
        follow_redirects=False,
    ) as client:
        yield client


class _Page(HTMLParser):
    """Ids, and tags that were opened and never closed or closed and never opened."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.open: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


PATHS = ("/", "/studies/1", "/studies/1/trials/0", "/studies/1/trials/15", "/workers", "/login")


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_sound(client: TestClient, scene: Scene, path: str) -> None:
    """Every page closes what it opens, says an id once, and needs no inline script or style."""
    answer = client.get(path)
    page = _Page(answer.text)
    assert (answer.status_code, page.open, page.inline) == (200, [], [])
    assert len(page.ids) == len(set(page.ids))
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/studies", "/studies/1", "/studies/1/trials/16", "/workers"])
def test_partials_hold_what_their_page_holds(client: TestClient, scene: Scene, path: str) -> None:
    """A partial is the page's own core, so that both cannot drift apart."""
    page = _Page(client.get("/" if path == "/studies" else path).text)
    partial = _Page(client.get(f"/partials{path}").text)
    assert set(partial.ids) <= set(page.ids)
    assert partial.open == []


def test_empty_list_tells_the_first_command(client: TestClient) -> None:
    """Who has nothing yet learns what to type."""
    assert "segtune submit study.yaml --watch" in client.get("/").text


def test_empty_fleet_tells_how_to_start_a_worker(client: TestClient) -> None:
    """The command names this very server."""
    assert "segtune worker --server http://localhost" in client.get("/workers").text


def test_an_unfit_worker_is_shown_with_its_reason(client: TestClient, db: Database) -> None:
    """The list of workers says what is wrong, and the study's page what follows."""
    scene = Scene.submit(db)
    lacking = "the data set's root 'set' is not there"
    scene.finish(scene.take(), OutcomeKind.YIELDED, error=lacking, error_kind=Unfitness.DATA)
    row = unescape(client.get("/workers").text)
    assert 'class="state unfit"' in row
    assert lacking in row
    assert f"cannot train this study: {lacking}" in unescape(client.get("/studies/1").text)


def test_list_shows_progress_and_gain(client: TestClient, scene: Scene) -> None:
    """A study's row has its state, best value and the gain over trial 0."""
    view = overview.study(scene.db, scene.study.id)
    html = client.get("/").text
    assert f"<strong>{view.best_value:.3f}</strong>" in html
    assert f"{view.counts.ended}<span" in html
    assert 'href="/?state=running"' in html


def test_list_filters_by_state(client: TestClient, scene: Scene) -> None:
    """A filter that finds nothing says so."""
    assert "No study is failed" in client.get("/?state=failed").text


def test_study_page_works_by_name(client: TestClient, scene: Scene) -> None:
    """An address that people type is as good as the id."""
    assert client.get("/studies/camvid-street").status_code == 200


def test_rows_keep_their_ids_in_any_order(client: TestClient, scene: Scene) -> None:
    """A row's id is its trial's number, whatever the sort, so that live updates find it."""
    by_number = _Page(client.get("/studies/1").text).ids
    by_value = _Page(client.get("/studies/1?sort=value&descending=1").text).ids
    rows = [
        {name for name in ids if re.fullmatch(r"trial-\d+", name)} for ids in (by_number, by_value)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 17


def test_a_confirmed_study_shows_what_fresh_seeds_said(client: TestClient, db: Database) -> None:
    """The verdict stands in words, each leader has a row, and its trials say whom they repeat."""
    scene = Scene.submit(db, trials=4, confirm={"top": 2, "seeds": 2})
    for _ in range(8):
        scene.train()
    html = client.get("/studies/1").text
    best = overview.best(db, 1)
    assert best.confirmation is not None
    assert best.confirmation.verdict in html
    assert html.count("again with a fresh seed") == 4
    assert "again with a fresh seed" in client.get("/studies/1/trials/5").text


def test_a_confirmed_front_shows_each_objective(client: TestClient, db: Database) -> None:
    """A leader's row has the mean of every objective, and a tag if it is still on the front."""
    both = [{"metric": "miou"}, {"metric": "iou.worst"}]
    scene = Scene.submit(db, objectives=both, trials=4, confirm={"top": 2, "seeds": 1})
    for _ in range(6):
        scene.train()
    html = client.get("/studies/1").text
    shown = html[html.index('id="confirmation"') :]
    confirmation = overview.best(db, 1).confirmation
    assert confirmation is not None
    assert confirmation.verdict in shown
    kept = sum(bool(one.on_front) for one in confirmation.leaders)
    assert shown.count(">front</span>") == kept > 0
    assert all(metric(one.objectives["iou.worst"].mean) in shown for one in confirmation.leaders)


def test_several_objectives_show_their_front(client: TestClient, db: Database) -> None:
    """Each completed trial is a dot, and the caption says how many stand on the front."""
    both = [{"metric": "miou"}, {"metric": "iou.worst"}]
    scene = Scene.submit(db, objectives=both, trials=5)
    assert 'id="front"' not in client.get("/studies/1").text
    for _ in range(5):
        scene.train()
    html = client.get("/studies/1").text
    front = pareto.front(db, 1)
    assert len(re.findall(r'<circle class="(front|behind)"', html)) == 5
    assert f"{sum(one.on_front for one in front.steps)} of 5 trials on the front" in html
    assert "best at the top right" in html


@pytest.mark.parametrize("axis", ["trials", "epochs", "hours"])
def test_the_history_is_drawn_over_what_was_spent(
    client: TestClient, scene: Scene, axis: str
) -> None:
    """The chosen axis is marked, stays with every other link, and draws every ended trial."""
    html = client.get(f"/studies/1?axis={axis}").text
    marked = re.search(r'id="over-(\w+)"[^>]*aria-current', html)
    figure = html[html.index('id="history"') : html.index('id="curves"')]
    assert marked is not None
    assert marked.group(1) == axis
    assert len(re.findall("data-trial", figure)) == 14
    assert (f"axis={axis}" in html[html.index('id="trials"') :]) == (axis != "trials")


def test_a_study_of_some_size_shows_what_mattered(client: TestClient, db: Database) -> None:
    """Each searched param has its share once ten trials have ended, and none before."""
    scene = Scene.submit(db)
    for _ in range(9):
        scene.train()
    address = re.search('data-later="([^"]+)"', client.get("/studies/1").text)
    assert address is not None
    assert client.get(address.group(1)).text.strip() == ""
    for _ in range(3):
        scene.train()
    panel = client.get(address.group(1)).text
    assert _Page(panel).open == []
    assert panel.count('<th scope="row"') == 5
    assert "of 12 trials by miou at epoch 12" in panel


def test_sort_links_turn_round(client: TestClient, scene: Scene) -> None:
    """A sorted column says its direction and links to the other."""
    html = client.get("/studies/1?sort=optimizer.lr&descending=1").text
    header = re.search(r'<th[^>]*aria-sort="descending"[^>]*>.*?</th>', html, re.DOTALL)
    assert header is not None
    assert "sort=optimizer.lr&amp;descending=0" in header.group()


def test_table_pages_reach_every_trial_once(client: TestClient, db: Database) -> None:
    """Following `next` walks all trials, each once."""
    scene = Scene.submit(db, trials=80, parallel=80)
    for index in range(70):
        scene.take(f"gpu-{index}")
    seen: list[str] = []
    path: str | None = "/studies/1"
    while path:
        html = client.get(path).text
        seen += [name for name in _Page(html).ids if re.fullmatch(r"trial-\d+", name)]
        following = re.search(r'id="page-next" href="([^"#]+)', html)
        path = following and following.group(1).replace("&amp;", "&")
    assert sorted(seen) == sorted(f"trial-{number}" for number in range(70))


def test_unknown_sort_key_is_a_page_not_a_crash(client: TestClient, scene: Scene) -> None:
    """A typo in the address gets an error page in the same design."""
    answer = client.get("/studies/1?sort=nonsense")
    assert (answer.status_code, answer.headers["content-type"][:9]) == (422, "text/html")


@pytest.mark.parametrize("path", ["/studies/99", "/studies/1/trials/999", "/nowhere"])
def test_missing_things_are_pages(client: TestClient, scene: Scene, path: str) -> None:
    """What is not there is a 404 with a way back."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "All studies" in answer.text


def test_hostile_text_stays_text(client: TestClient, db: Database) -> None:
    """An error's text cannot become markup, on no page."""
    scene = Scene.submit(db)
    work = scene.take()
    scene.finish(work, OutcomeKind.FAILED, error=HOSTILE, error_kind="exception")
    for path in ("/studies/1", "/studies/1/trials/0"):
        html = client.get(path).text
        assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_trial_page_tells_how_it_differs(client: TestClient, scene: Scene) -> None:
    """Drawn params stand beside trial 0's, with per-class numbers and provenance."""
    html = client.get("/studies/1/trials/1").text
    assert "Against trial 0" in html
    assert "optimizer.weight_decay" in html
    assert "5f0c1e7a9b" in html
    assert 'id="class-9"' in html


def test_a_copy_shows_whose_it_is_and_what_changed(client: TestClient, db: Database) -> None:
    """The model, each value with its first epoch, and that nobody was lost in between."""
    fleet = Fleet(db)
    run(fleet, population(8))
    found = [overview.trial(db, "streets", number) for number in copies(fleet)]
    copy = next(trial for trial in found if trial.attempts > 1)
    change = copy.config.changes[-1]
    text = client.get(f"/studies/{copy.study_id}/trials/{copy.number}").text
    assert f'a changed copy of <a href="/studies/1/trials/{copy.copies}">' in text
    for path in change.values:
        assert f"{path} from epoch {change.epoch}" in text
    assert "paused in between" in text
    assert f"goes on from trial {copy.copies} with other values" in client.get("/studies/1").text


def test_the_best_config_stands_beside_the_base_recipes_defaults(
    client: TestClient, db: Database
) -> None:
    """Also beside those that the study does not spell out."""
    fleet = Fleet(db)
    fleet.submit()
    for value in (0.1, 0.9):
        fleet.train(fleet.take(), value=value)
    assert '<span class="was">0 in trial 0</span>' in client.get("/studies/1").text


@pytest.mark.parametrize(
    ("action", "state"),
    [("pause", StudyState.PAUSED), ("cancel", StudyState.CANCELLED)],
)
def test_actions_change_the_study(
    client: TestClient, scene: Scene, action: str, state: StudyState
) -> None:
    """A button of our own page works and leads back to it."""
    answer = client.post(
        f"/studies/1/{action}", headers={"origin": "http://localhost"}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1")
    assert overview.study(scene.db, 1).state is state


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:81"])
def test_other_sites_cannot_press_buttons(client: TestClient, scene: Scene, origin: str) -> None:
    """A form of another origin is refused and changes nothing."""
    answer = client.post("/studies/1/cancel", headers={"origin": origin})
    assert answer.status_code == 403
    assert overview.study(scene.db, 1).state is StudyState.RUNNING


def test_strangers_are_sent_to_the_login(locked: TestClient) -> None:
    """With a token set, a page leads to the login and from there back."""
    answer = locked.get("/studies/1?sort=value")
    assert answer.status_code == 303
    assert unquote(answer.headers["location"]) == "/login?next=/studies/1?sort=value"


def test_right_token_opens_the_dashboard(locked: TestClient) -> None:
    """The cookie is out of reach for scripts and other sites, and it suffices."""
    answer = locked.post("/login", data={"token": TOKEN, "next": "/workers"})
    cookie = answer.headers["set-cookie"].lower()
    assert (answer.status_code, answer.headers["location"]) == (303, "/workers")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert locked.get("/workers").status_code == 200


def test_wrong_token_is_reported(locked: TestClient) -> None:
    """A wrong token sets no cookie."""
    answer = locked.post("/login", data={"token": "guess"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert "not a token of this server" in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", ""]
)
def test_login_leads_nowhere_else(locked: TestClient, target: str) -> None:
    """After login one stays on this server."""
    answer = locked.post("/login", data={"token": TOKEN, "next": target})
    assert answer.headers["location"] == "/"


def test_logout_forgets_the_token(locked: TestClient) -> None:
    """After logging out the login is asked for again."""
    locked.post("/login", data={"token": TOKEN})
    locked.post("/logout")
    assert locked.get("/").status_code == 303


def test_oversized_form_is_refused(locked: TestClient) -> None:
    """A login form cannot fill the memory."""
    assert locked.post("/login", data={"token": "x" * 20_000}).status_code == 413


def test_static_files_may_be_kept_for_ever(client: TestClient) -> None:
    """Their addresses change with their content."""
    address = re.search(r'href="(/static/\w+/app\.css)"', client.get("/").text)
    assert address is not None
    assert "immutable" in client.get(address.group(1)).headers["cache-control"]


def test_only_known_static_files_are_served(client: TestClient) -> None:
    """Nothing else of the folder, or above it, is within reach."""
    version = assets.version()
    for name in ("..%2Frender.py", "../render.py", "vendor", "", "none.js", "%00"):
        assert client.get(f"/static/{version}/{name}").status_code == 404
    assert client.get("/static/000000000000/app.js").status_code == 404


def test_a_trial_shows_its_training_samples(
    client: TestClient, scene: Scene, tmp_path: Path
) -> None:
    """The preview that its worker drew is a picture that says in words what it shows."""
    work = scene.take("painter")
    store = ArtifactStore(tmp_path)
    stored = store.write([b"picture"], sha256=None, limit=9)
    upload = Upload("preview.webp", "preview", None, stored)
    found = artifacts.attach(scene.db, work.lease, work.token, upload, store=store)
    html = client.get(f"/studies/1/trials/{work.trial}").text
    picture = re.search(rf'<img[^>]*src="/api/v1/artifacts/{found.id}"[^>]*>', html)
    assert picture is not None
    assert f'alt="Four training samples of trial {work.trial}' in picture.group()
    assert 'id="preview"' not in client.get("/studies/1/trials/0").text


def test_a_study_that_is_called_by_a_number_is_fetched_by_its_id(
    client: TestClient, db: Database
) -> None:
    """A name that an earlier release took stands for another study's id in a command."""
    view, _ = studies.submit(db, checks.parse(document("7"), is_new=False))
    Scene(db, view).play(1)

    assert f"segtune best {view.id} -o best.json" in client.get(f"/studies/{view.id}").text
