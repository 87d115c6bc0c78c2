"""What a person does on the pages beside looking, and states that a page may be in."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Response, Route, expect
from sqlalchemy import insert, select, update

from api.settings import Settings
from tests.api.samples import serving
from tests.browsers import Visit
from tests.dashboard import pictures
from tests.dashboard.browser.test_charts import drawn
from tests.dashboard.proxy import PREFIX, Manner, proxied
from tests.dashboard.scenes import Scene, document
from tuner.configs import checks
from tuner.service import overview, studies
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import StudyState
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

LIVE = re.compile(r"/partials/studies/1(\?.*)?$")


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study with a few ended trials."""
    return Scene.played(db, 5)


def test_a_study_is_changed_paused_resumed_and_cancelled(
    visit: Visit, server: str, scene: Scene
) -> None:
    """Each by a button of its page, which says what has become of it."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    page.locator("#edit > summary").click()
    page.get_by_role("spinbutton", name="Trials").fill("60")
    page.get_by_label("In parallel").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#head")).to_contain_text("3 in parallel")
    expect(page.locator("#facts")).to_contain_text("/ 60")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.locator("#cancel > summary").click()
    page.get_by_role("button", name="Cancel the study").click()
    expect(page.locator("h1")).to_contain_text("cancelled")
    assert overview.study(scene.db, 1).state is StudyState.CANCELLED
    assert visit.complaints == []


def test_a_study_is_paused_resumed_and_cancelled_from_its_row(
    visit: Visit, server: str, scene: Scene
) -> None:
    """The list comes back as it was sorted and narrowed."""
    page = visit.page
    page.goto(f"{server}/?search=street&sort=name")
    row = page.locator("#study-1")
    for button, state in (("Pause", "paused"), ("Resume", "running"), ("Cancel", "cancelled")):
        page.locator("#more-1").click()
        page.locator("#menu-1").get_by_role("button", name=button).click()
        expect(row.locator(".state").first).to_have_text(state)
        expect(page).to_have_url(re.compile(r"search=street&sort=name$"))
    page.locator("#filter").get_by_role("link", name="cancelled").click()
    expect(page).to_have_url(re.compile("state=cancelled"))
    expect(row).to_be_visible()
    assert visit.complaints == []


def test_a_study_begins_from_a_preset_or_from_another_study(
    visit: Visit, server: str, scene: Scene
) -> None:
    """What is chosen is in the text, which has no mistakes; a clone is submitted as it stands."""
    page = visit.page
    page.goto(f"{server}/new")
    page.locator("#begin > summary").click()
    choice = page.locator("[id^='preset-']").first
    preset = choice.locator("option").nth(1).get_attribute("value") or ""
    choice.select_option(preset)
    page.get_by_role("button", name="Begin anew").click()
    expect(page).to_have_url(re.compile(f"preset={preset}"))
    expect(page.locator("#plan")).to_be_visible()
    page.goto(f"{server}/studies/1")
    page.locator("#clone").click()
    expect(page.locator("#text")).to_have_value(re.compile("camvid-street"))
    page.locator("#text").press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/studies/2$"))
    assert overview.study(scene.db, 2).spec.space == overview.study(scene.db, 1).spec.space
    assert visit.complaints == []


def test_a_bound_is_shaded_on_the_front(visit: Visit, server: str, db: Database) -> None:
    """Trials that break it are marked as such, and lead to their pages as all do."""
    objectives = [{"metric": "miou"}, {"metric": "iou.pole"}]
    written = document(objectives=objectives) | {"constraints": [{"metric": "miou", "min": 0.3}]}
    scene = Scene(db, studies.submit(db, checks.parse(written))[0]).play(14)
    page = visit.page
    page.goto(f"{server}/studies/{scene.study.id}")
    series = drawn(page, "front", "o.series.map((one) => one.id)")
    assert {"front", "ground"} <= set(series)
    shaded = 'o.series.find((one) => one.id === "ground").markArea.data.length'
    assert drawn(page, "front", shaded) == 1
    assert drawn(page, "volume", "o.series[0].data.length") > 0
    assert visit.complaints == []


def test_a_matrix_is_read_by_row_by_column_and_in_pixels(
    visit: Visit, server: str, scene: Scene
) -> None:
    """Without a reload, and the back button undoes it."""
    page = visit.page
    page.goto(f"{server}/studies/1/trials/0")
    page.evaluate("window.untouched = true")
    cell, panel = (
        page.locator("#confusion td.hit9, #confusion td").nth(1),
        page.locator("#confusion"),
    )
    seen = {cell.inner_text()}
    for link, name in (("by column", "precision"), ("pixels", "counts")):
        panel.get_by_role("link", name=link).click()
        expect(page).to_have_url(re.compile(f"matrix={name}"))
        expect(panel.get_by_role("link", name=link)).to_have_attribute("aria-current", "true")
        seen.add(cell.inner_text())
    assert len(seen) == 3
    page.go_back()
    expect(panel.get_by_role("link", name="by column")).to_have_attribute("aria-current", "true")
    assert page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_trials_of_two_studies_are_compared(
    visit: Visit, server: str, db: Database, settings: Settings
) -> None:
    """A trial is added by its address; the same images stand side by side."""
    for name in ("one", "two"):
        scene = Scene.submit(db, name)
        work = scene.take()
        scene.report(work, *range(1, 13))
        pictures.hand_in(scene, settings, work, 12)
        scene.finish(work, OutcomeKind.COMPLETED, 12)
    page = visit.page
    page.goto(f"{server}/compare?trials=1:0")
    page.get_by_label("Add a trial").fill("2:0")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#contestants li")).to_have_count(2)
    expect(page.locator("#masks .viewer canvas")).to_have_count(4)
    page.locator("#overlay").scroll_into_view_if_needed()
    expect(page.locator("#overlay .plot canvas")).to_be_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("status", [404, 502])
def test_where_streams_are_refused_a_page_asks_now_and_then(
    visit: Visit, server: str, scene: Scene, status: int
) -> None:
    """It says so, and does not hurry: a refusal is no reason to ask again at once."""
    work, page = scene.take(), visit.page
    streams: list[str] = []
    answers: list[str] = []

    def refuse(route: Route) -> None:
        streams.append(route.request.url)
        route.fulfill(status=status)

    def pass_time() -> None:
        page.clock.run_for(100)
        page.evaluate("fetch(location.href).then((answer) => answer.text())")

    page.route("**/events*", refuse)

    def hear(answer: Response) -> None:
        if LIVE.search(answer.url):
            answers.append(answer.url)

    page.on("response", hear)
    page.clock.install()
    page.goto(f"{server}/studies/1")
    while len(answers) < 2:
        pass_time()
    for _ in range(10):
        pass_time()
    assert len(streams) == 2
    expect(page.locator("#pulse")).to_have_text("Auto-refresh")
    scene.report(work, 1, 2, 3)
    page.clock.run_for(31_000)
    expect(page.locator(f"#trial-{work.trial}")).to_contain_text("3/12")
    expect(page.locator("#pulse")).to_have_text("Auto-refresh")


@pytest.fixture
def below(settings: Settings) -> Iterator[str]:
    """URL of a server below a path of a proxy."""
    prefixed = settings.model_copy(update={"root_path": PREFIX})
    with serving(prefixed) as live, proxied(str(live.client.base_url), Manner()) as url:
        yield url


def test_scripts_work_below_a_prefix(
    visit: Visit, below: str, db: Database, settings: Settings
) -> None:
    """Stream, charts, pictures, filter, editor and forms: nothing leaves the prefix."""
    scene = Scene.played(db, 6)
    work, page = scene.take(), visit.page
    scene.report(work, 1)
    pictures.hand_in(scene, settings, work, 1)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    page.goto(f"{below}/")
    page.locator("#search").fill("street")
    expect(page).to_have_url(re.compile(r"\?search=street$"))
    page.locator("#study-1 a.row").click()
    expect(page.locator("#pulse")).to_have_text("Live")
    for chart in ("history", "curves", "relation-parallel"):
        assert drawn(page, chart, "o.series.length") > 0
    scene.report(work, 2)
    expect(page.locator(f"#trial-{work.trial}")).to_contain_text("2/12")
    page.locator("#filter").fill("number < 2")
    page.locator("#filter").press("Enter")
    expect(page.locator("#trials tbody tr")).to_have_count(2)
    page.goto(f"{below}/studies/1/trials/{work.trial}")
    expect(page.locator(".viewer canvas")).to_have_count(4)
    expect(page.locator(".viewer .under")).not_to_be_empty()
    page.locator("nav.crumbs").get_by_role("link", name="camvid-street").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.goto(f"{below}/new?clone=1")
    expect(page.locator("#plan")).to_be_visible()
    page.locator("#submit").click()
    expect(page).to_have_url(f"{below}/studies/2")
    assert {url for url in asked if not url.startswith((below, "blob:", "data:"))} == set()
    assert visit.complaints == []


def test_a_study_of_ten_thousand_trials_opens(visit: Visit, server: str, scene: Scene) -> None:
    """With its charts, the first page of its table, and the pages after it."""
    with scene.db.transaction() as session:
        table = Trial.metadata.tables["trials"]
        one = session.execute(select(table).where(Trial.number == 1)).mappings().one()
        more = [dict(one, id=number + 1, number=number) for number in range(5, 10_000)]
        session.execute(insert(table), more)
        session.execute(update(Study).values(trial_count=10_000))
    page = visit.page
    page.goto(f"{server}/studies/1")
    expect(page.locator("#trials .pager")).to_contain_text("of 10,000")
    assert drawn(page, "history", "o.series.length") > 0
    page.locator("#page-next").click()
    expect(page.locator("#page-first")).to_be_visible()
    assert visit.complaints == []


def test_a_language_is_chosen_by_hand(visit: Visit, server: str, scene: Scene) -> None:
    """It holds on the next page too, whatever the browser asks for, and can be undone."""
    page = visit.page
    page.goto(f"{server}/studies/1?filter=number+%3C+2")
    page.locator("#language button").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page).to_have_url(re.compile(r"/studies/1\?filter=number\+%3C\+2$"))
    page.goto(f"{server}/workers")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    page.locator("#language button").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert visit.complaints == []


def test_an_empty_server_says_how_to_begin(visit: Visit, server: str) -> None:
    """On every page of it; the list leads to the editor."""
    page = visit.page
    for path in ("/queue", "/workers", "/compare", "/"):
        page.goto(f"{server}{path}")
        expect(page.locator("main .empty")).to_be_visible()
    page.locator("#empty").get_by_role("link", name="New study").click()
    expect(page.locator("#plan")).to_be_visible()
    assert visit.complaints == []
