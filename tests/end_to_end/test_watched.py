"""A study in two browser windows, from the editor to best.json, on real processes."""

import csv
import re
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Page, Request, expect

from tests.browsers import Visit, Windows
from tests.end_to_end.cluster import Cluster, assert_whole, cluster, street_study
from tuner.spec.states import StudyState, TrialState

pytestmark = pytest.mark.timeout(600)
EPOCHS = 20
WHILE_AWAY = re.compile(r"^Failed to load resource: net::ERR_\w+$")


@pytest.fixture(autouse=True)
def patience() -> None:
    """Training takes its time on a machine that has other things to do."""
    expect.set_options(timeout=90_000)


def text_of(name: str, *, epochs: int, trials: int) -> str:
    """A study as one writes it: two images to look at, a batch size that is searched."""
    document = street_study(name, trials=trials, sampler="random")
    document["dataset"] |= {"train": 8, "val": 4}
    document["base"] = {
        "model": {"decoder": "fcn", "encoder": "mobilenet_v3_small"},
        "training": {"epochs": epochs, "batch_size": 4},
    }
    return yaml.safe_dump({**document, "examples": 2}, sort_keys=False)


def write(page: Page, server: str, text: str) -> None:
    """Write a study in the editor, with a mistake at first; end on its page."""
    page.goto(f"{server}/new")
    wrong = text.replace("trials:", "trails:")
    page.locator("#text").fill(wrong)
    line = 1 + wrong[: wrong.index("trails:")].count("\n")
    expect(page.locator(f"#line-{line} .said")).to_contain_text("trials")
    expect(page.locator("#rows .wrong")).to_have_count(1)
    expect(page.locator("#plan")).to_have_count(0)
    page.locator("#text").fill(text)
    expect(page.locator("#plan")).to_be_visible()
    expect(page.locator("#rows .wrong")).to_have_count(0)
    page.locator("#submit").click()
    expect(page).to_have_url(f"{server}/studies/1")


def follow(page: Page) -> None:
    """Wait until the page is live; a mark on the window tells whether it is the same load later."""
    expect(page.locator("#pulse")).to_have_attribute("data-mode", "live")
    page.evaluate("window.untouched = true")


def is_same_load(page: Page) -> bool:
    """Whether the page has not been loaded again since it was followed."""
    return page.evaluate("window.untouched") is True


def beyond(epoch: int) -> re.Pattern[str]:
    """Some later epoch of the full training, as a table or a page says it."""
    later = "|".join(str(one) for one in range(epoch + 1, EPOCHS + 1))
    return re.compile(rf"(^|\D)({later})\s*/\s*{EPOCHS}")


def epoch_of(page: Page, number: int) -> int:
    """How far the table says that a trial has come."""
    found = re.search(rf"(\d+)/{EPOCHS}", page.locator(f"#trial-{number}").inner_text())
    assert found is not None
    return int(found[1])


def state(page: Page, name: str) -> None:
    """Wait until a page's heading says that state."""
    expect(page.locator(f"h1 .state.{name}")).to_be_visible()


def clone(page: Page, server: str, number: int, rate: str) -> int:
    """Enqueue a trial like another with a learning rate of one's own; end on its page."""
    page.goto(f"{server}/studies/1/trials/{number}")
    page.locator("#clone > summary").click()
    page.locator("#clone [data-path='optimizer.lr'] input").fill(rate)
    page.locator("#clone-form button.primary").click()
    expect(page).not_to_have_url(re.compile(rf"/trials/{number}(/clone)?$"))
    state(page, "waiting")
    expect(page.locator("#params tr.changed")).to_contain_text([rate])
    return int(page.url.rpartition("/")[2])


def download(page: Page, link: str, folder: Path) -> bytes:
    """What a link of the page saves."""
    with page.expect_download() as saved:
        page.locator(link).click()
    path = folder / saved.value.suggested_filename
    saved.value.save_as(path)
    return path.read_bytes()


def restart(town: Cluster, *watching: Visit) -> None:
    """Kill the server; its pages say so, and go on by themselves once it is back."""
    assert town.server is not None
    for one in watching:
        assert one.complaints == []
    town.kill(town.server)
    for one in watching:
        expect(one.page.locator("#pulse")).to_have_attribute("data-mode", "lost")
        expect(one.page.locator("#live")).to_have_class("stale")
    town.start_server()
    for one in watching:
        expect(one.page.locator("#pulse")).to_have_attribute("data-mode", "live")
        expect(one.page.locator("#live")).not_to_have_class("stale")
        assert is_same_load(one.page)
        assert [said for said in one.complaints if not WHILE_AWAY.match(said)] == []
        one.complaints.clear()


def see_training(*watching: Page) -> None:
    """Wait until each window has seen the first trial come further twice, in the same load."""
    for page in watching:
        expect(page.locator("#trial-0")).to_contain_text(beyond(0))
    for page in watching:
        expect(page.locator("#trial-0")).to_contain_text(beyond(epoch_of(page, 0)))
        assert is_same_load(page)


def restart_while_training(town: Cluster, acting: Visit, looking: Visit) -> None:
    """One looks at the trial and its pictures, the other at the study; both see its end."""
    streams: list[Request] = []
    looking.page.on(
        "request", lambda asked: streams.append(asked) if "/events" in asked.url else None
    )
    acting.page.locator("#trial-0 a.row").click()
    follow(acting.page)
    expect(acting.page.locator(".viewer canvas")).to_have_count(4)
    expect(acting.page.locator(".viewer .thumbs button")).to_have_count(2)
    restart(town, acting, looking)
    assert streams[-1].all_headers()["last-event-id"].isdecimal()
    state(acting.page, "completed")
    expect(looking.page.locator("#trial-0 .state.completed")).to_be_visible()


def interfere(page: Page, other: Page, server: str) -> tuple[int, int]:
    """Pause, clone twice, resume, cancel one: their numbers, the cancelled one last."""
    page.goto(f"{server}/studies/1")
    page.locator("#pause").click()
    for one in (page, other):
        state(one, "paused")
    unwanted, kept = clone(page, server, 0, "0.045"), clone(page, server, 0, "0.012")
    page.goto(f"{server}/studies/1")
    page.locator("#resume").click()
    state(other, "running")
    page.locator(f"#trial-{unwanted} a.row").click()
    state(page, "running")
    page.locator("#cancel > summary").click()
    page.locator("#cancel button.danger").click()
    state(page, "cancelled")
    expect(other.locator(f"#trial-{unwanted} .state.cancelled")).to_be_visible()
    return kept, unwanted


def fetch_best(page: Page, server: str, folder: Path) -> None:
    """The file that the page's button saves is what the API gives."""
    saved = download(page, "#best-json", folder)
    assert saved == httpx.get(f"{server}/api/v1/studies/1/best").content


def test_two_browsers_follow_a_study_over_a_restart_to_its_best(
    tmp_path: Path, sqlite_url: str, windows: Windows
) -> None:
    """One acts and the other only looks, in Chinese, and never has to load its page again."""
    acting, looking = windows.open(locale="en-GB"), windows.open(locale="zh-CN")
    page, other = acting.page, looking.page
    with cluster(tmp_path, sqlite_url, SEGTUNE_CHECKPOINT_SECONDS="600") as town:
        server = town.client.server
        town.start_worker("steady")
        write(page, server, text_of("watched", epochs=EPOCHS, trials=2))
        other.goto(f"{server}/studies/1")
        expect(other.locator("html")).to_have_attribute("lang", "zh")
        follow(page)
        follow(other)
        see_training(page, other)
        restart_while_training(town, acting, looking)
        kept, unwanted = interfere(page, other, server)
        page.goto(f"{server}/studies/1")
        for one in (page, other):
            state(one, "finished")
            expect(one.locator("#best-json")).to_be_visible()
        assert is_same_load(other)
        fetch_best(page, server, tmp_path)
        page.locator("#downloads > summary").click()
        table = download(page, "[data-download=csv]", tmp_path).decode()

        trials = {trial.number: trial for trial in town.client.trials("watched")}
        rows = {row["number"] for row in csv.DictReader(table.splitlines())}
        assert rows == {str(number) for number in trials}
        assert StudyState.FINISHED is town.client.study("watched").state
        assert trials[kept].params["optimizer.lr"] == pytest.approx(0.012)
        assert TrialState.COMPLETED is trials[kept].state
        assert TrialState.CANCELLED is trials[unwanted].state
        assert_whole(town.client, "watched")
    assert acting.complaints == looking.complaints == []


def test_the_main_path_in_chinese(tmp_path: Path, sqlite_url: str, windows: Windows) -> None:
    """From the text to best.json a reader of Chinese meets no page in another language."""
    visit = windows.open(locale="zh-CN")
    page = visit.page
    with cluster(tmp_path, sqlite_url, SEGTUNE_CHECKPOINT_SECONDS="600") as town:
        server = town.client.server
        town.start_worker("steady")
        page.goto(server)
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        page.locator("#empty a[href='/new']").click()
        write(page, server, text_of("main-path", epochs=2, trials=2))
        follow(page)
        state(page, "finished")
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        assert is_same_load(page)
        fetch_best(page, server, tmp_path)
        page.locator("#best a[href^='/studies/1/trials/']").first.click()
        expect(page.locator(".viewer canvas")).to_have_count(4)
        expect(page.locator("html")).to_have_attribute("lang", "zh")
    assert visit.complaints == []
