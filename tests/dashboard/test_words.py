"""Which language a page speaks: a reader's own choice first, then what the browser asks for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from api.dashboard import spoken, words
from api.errors import TABLE
from tests.dashboard.scenes import Scene
from tuner import wording
from tuner.store.engine import Database

_HTML = '<html lang="{}"'


def chosen(header: str | None = None, cookie: str | None = None) -> str:
    """The language of a request with these headers."""
    headers = []
    if header is not None:
        headers.append((b"accept-language", header.encode("latin-1")))
    if cookie is not None:
        headers.append((b"cookie", f"{words.COOKIE}={cookie}".encode("latin-1")))
    return words.preferred(HTTPConnection({"type": "http", "headers": headers}))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-TW", "zh"),
        ("zh-Hans-CN", "zh"),
        ("ZH-cn", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.5, zh;q=0.9", "zh"),
        ("en; q=0.5, zh; q=0.9", "zh"),
        ("zh;q=0.5, en", "en"),
        ("zh;q=0, de", "en"),
        ("de-DE,de;q=0.9,zh;q=0.2", "zh"),
        ("de,fr", "en"),
        ("*", "en"),
        ("zh;q=much,en;q=0.3", "en"),
        (",,;q=,;;", "en"),
        ("en-US;q=nan,zh;q=0.4", "zh"),
    ],
)
def test_the_language_is_the_first_that_a_browser_asks_for(
    header: str | None, language: str
) -> None:
    """By its weights; a tag of a region is one of its language, what is malformed says nothing."""
    assert chosen(header) == language


@given(st.text(alphabet=printable.replace("\r", "").replace("\n", "")))
def test_any_header_gives_a_language(header: str) -> None:
    """Whatever a client sends, a page can be made for it."""
    assert chosen(header) in words.LANGUAGES


def test_a_choice_by_hand_wins() -> None:
    """Over what the browser asks for; a cookie with another word is as none."""
    assert chosen("zh-CN", cookie="en") == "en"
    assert chosen("en", cookie="zh") == "zh"
    assert chosen("zh-CN", cookie="tlh") == "zh"


def test_a_page_speaks_the_language_that_was_chosen(client: TestClient, db: Database) -> None:
    """Its partials too; the button leads back to where it was pressed."""
    Scene.submit(db)
    asked = {"accept-language": "zh-CN"}
    assert _HTML.format("zh") in client.get("/", headers=asked).text
    assert "学习曲线" in client.get("/partials/studies/1", headers=asked).text
    assert "Learning curves" in client.get("/partials/studies/1").text

    form = {"language": "en", "next": "/studies/1"}
    answer = client.post("/language", data=form, headers=asked, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1")
    assert _HTML.format("en") in client.get("/studies/1", headers=asked).text


def test_the_api_speaks_english(client: TestClient) -> None:
    """Programs read it, and what it says is searched for in the docs."""
    answers = [
        client.get("/api/v1/studies/9", headers={"accept-language": language}).json()["detail"]
        for language in ("en", "zh-CN")
    ]

    assert answers[0] == answers[1]
    assert answers[0].isascii()


def test_an_error_page_has_its_title_in_the_language(client: TestClient) -> None:
    """Every title that an error may have; its detail is the server's, and stays English."""
    assert {title for _, title in TABLE.values()} <= set(spoken.TITLES)
    page = client.get("/studies/9", headers={"accept-language": "zh-CN"}).text

    assert "<h1>未找到</h1>" in page
    assert "no study has the id" in page


def test_scripts_get_what_they_say(client: TestClient) -> None:
    """With names of states and sources, which they look up; in English they need nothing."""
    with words.speaking("zh"):
        said = words.for_scripts()

    assert said["checking…"] == "检查中…"
    assert {"completed", "sampler", "cancelled"} <= said.keys()
    assert "Best configuration" not in said
    assert words.for_scripts() == {}
    assert 'id="words"' not in client.get("/").text


NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (None, "–", "–"),
        (0.5, "0.5 s", "0.5 秒"),
        (185, "3 min 5 s", "3 分钟 5 秒"),
        (7800, "2 h 10 min", "2 小时 10 分钟"),
        (356_400, "4 d 3 h", "4 天 3 小时"),
    ],
)
def test_a_time_is_said_in_both_languages(
    seconds: float | None, english: str, chinese: str
) -> None:
    """With the same two units."""
    assert spoken.duration(seconds) == english
    with words.speaking("zh"):
        assert spoken.duration(seconds) == chinese


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "just now", "刚刚"),
        (12, "12 s ago", "12 秒前"),
        (10_800, "3 h ago", "3 小时前"),
        (86_400 * 65, "2 mo ago", "2 个月前"),
    ],
)
def test_how_long_ago_is_said_in_both_languages(seconds: float, english: str, chinese: str) -> None:
    """In the largest unit."""
    moment = NOW - timedelta(seconds=seconds)
    assert spoken.ago(moment, NOW) == english
    with words.speaking("zh"):
        assert spoken.ago(moment, NOW) == chinese


@pytest.mark.parametrize("thing", spoken.THINGS)
@pytest.mark.parametrize("amount", [1, 3, 12_400])
def test_an_amount_is_said_in_both_languages(thing: str, amount: int) -> None:
    """In English as commands say it; in Chinese the number and no English."""
    english = wording.quantity(amount, thing)
    assert spoken.quantity(amount, thing) == english
    with words.speaking("zh"):
        said = spoken.quantity(amount, thing)

    assert said.startswith(f"{amount:,} ")
    assert not any(letter.isascii() and letter.isalpha() for letter in said)


def test_answers_and_units_are_said_in_both_languages() -> None:
    """Yes and no, a metric with its unit, a trial by its number."""
    assert (spoken.setting(True), spoken.titled("throughput")) == ("yes", "throughput in images/s")
    assert spoken.trial(3) == "trial 3"
    with words.speaking("zh"):
        assert (spoken.setting(True), spoken.number(False)) == ("是", "否")
        assert spoken.titled("throughput") == "throughput（images/s）"
        assert (spoken.titled("miou"), spoken.trial(3)) == ("miou", "试验 3")


def test_a_message_without_a_translation_is_said_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog that lags behind costs a word of a page, not the page."""
    (tmp_path / "xx.po").write_text('msgid "Queue"\nmsgstr ""\n', encoding="utf-8")
    monkeypatch.setattr(words, "FOLDER", tmp_path)
    with words.speaking("xx"):
        assert words.gettext("Queue") == "Queue"
        assert words.ngettext("%(num)s mistake", "%(num)s mistakes", 2) == "%(num)s mistakes"
