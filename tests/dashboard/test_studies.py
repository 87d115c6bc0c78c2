"""The list of studies, what can be done with one, and the page on which one is written."""

import html
import re
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from api.dashboard.forms import TEXT_LIMIT
from tests.api.samples import study
from tests.dashboard.scenes import Scene
from tuner.configs import studies as samples
from tuner.service import overview, studies
from tuner.service.study_lists import STUDY_SORTS
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

FORM = {"content-type": "application/x-www-form-urlencoded"}
TEXT = samples.text("camvid")


@pytest.fixture
def scene(db: Database) -> Scene:
    """A study with a few ended trials."""
    return Scene.played(db, 5)


def _post(client: TestClient, path: str, **fields: str) -> int:
    answer = client.post(path, content=urlencode(fields), headers=FORM, follow_redirects=False)
    return answer.status_code


def _write(client: TestClient, text: str, deed: str = "submit", query: str = "") -> str:
    body = urlencode({"text": text.replace("\n", "\r\n"), "deed": deed})
    return client.post(f"/new{query}", content=body, headers=FORM).text


def test_a_row_says_how_far_a_study_is(client: TestClient, scene: Scene) -> None:
    """Best with its trend, progress, device time spent and saved, priority."""
    scene.train(stop=2)
    text = client.get("/").text
    assert 'class="spark"' in text
    assert "Best miou so far: from" in text
    assert re.search(r"saved</span>", text)
    assert "6<span" in text


@pytest.mark.parametrize("sort", STUDY_SORTS)
def test_every_column_turns_round(client: TestClient, scene: Scene, sort: str) -> None:
    """A click sorts by it, the next one the other way; the address says all."""
    page = client.get("/", params={"sort": sort}).text
    first = re.search(rf'aria-sort="(\w+)"[^>]*><a id="sort-{sort}" href="([^"]*)"', page)
    assert first is not None
    turned = client.get(html.unescape(first[2])).text
    second = re.search(rf'aria-sort="(\w+)"[^>]*><a id="sort-{sort}" href="([^"]*)"', turned)
    assert second is not None
    assert {first[1], second[1]} == {"ascending", "descending"}


def test_many_studies_are_paged(client: TestClient, db: Database) -> None:
    """Fifty a page, with where one is; the next page goes on, and back is one step."""
    for index in range(60):
        client.post("/api/v1/studies", json=study(f"study-{index:02}"))
    page = client.get("/?search=study&sort=name").text
    following = re.search(r'id="page-next" href="([^"]*)"', page)
    assert following is not None
    assert "1–50 of 60" in page
    rest = client.get(html.unescape(following[1])).text
    assert "51–60 of 60" in rest
    assert 'href="/studies/60"' in rest
    assert 'id="page-first" href="/?search=study&amp;sort=name"' in rest


def test_a_search_without_a_match_says_so(client: TestClient, scene: Scene) -> None:
    """The list offers to show all again."""
    text = client.get("/?search=nowhere").text
    assert "No study is like that" in text
    assert 'href="/">Show all' in text


def test_a_wrong_cursor_is_a_page(client: TestClient, scene: Scene) -> None:
    """It is refused in a sentence, not with an error of the server."""
    answer = client.get("/?sort=gain&cursor=bm9uc2Vuc2U")
    assert answer.status_code == 422
    assert "is not a cursor of this list" in answer.text


def test_delete_and_undo(client: TestClient, scene: Scene) -> None:
    """The list hides the study, says so, and brings it back."""
    answer = client.post("/studies/1/delete", content="next=/?sort%3Dname", headers=FORM)
    assert "is deleted" in answer.text
    assert 'id="study-1"' not in answer.text
    assert client.get("/studies/1").status_code == 404
    restored = client.post("/studies/1/restore", content="next=/", headers=FORM)
    assert 'id="study-1"' in restored.text
    assert 'id="undo"' not in restored.text


def test_deletion_with_running_trials_must_cancel_them(client: TestClient, scene: Scene) -> None:
    """The page offers to do both at once; without it deletion is refused in a sentence."""
    scene.take()
    assert "Stop and delete" in client.get("/").text
    assert _post(client, "/studies/1/delete") == 409
    assert _post(client, "/studies/1/delete", cancel="1") == 303


def test_actions_lead_back_to_where_they_were_asked(client: TestClient, scene: Scene) -> None:
    """To the list from the list, to the study from its page; never elsewhere."""
    for target, place in (("/?sort=name", "/?sort=name"), ("https://elsewhere", "/")):
        answer = client.post(
            "/studies/1/pause", content=urlencode({"next": target}), headers=FORM,
            follow_redirects=False,
        )  # fmt: skip
        assert answer.headers["location"] == place
        client.post("/studies/1/resume", content="", headers=FORM)
    answer = client.post("/studies/1/pause", content="", headers=FORM, follow_redirects=False)
    assert answer.headers["location"] == "/studies/1"


def test_edit(client: TestClient, db: Database, scene: Scene) -> None:
    """Only what the form says anew is changed; an empty limit is none."""
    page = client.get("/studies/1").text
    named = r'name="([\w-]+)"[^>]*? value="([^"]*)"'
    shown = dict(re.findall(named, page.partition('class="edit"')[2].partition("</form>")[0]))
    assert shown["trials"] == shown["was-trials"] == "40"
    fields = {**shown, "trials": "50", "priority": "80", "max_hours": "2.5"}
    studies.change(db, 1, StudyChange(weight=3))  # by somebody else, meanwhile

    assert _post(client, "/studies/1/change", **fields) == 303
    spec = overview.study(db, 1).spec
    assert (spec.search.trials, spec.priority, spec.search.max_hours) == (50, 80, 2.5)
    assert spec.weight == 3

    limits = {"max_hours": "", "was-max_hours": "2.5"}
    assert _post(client, "/studies/1/change", **limits) == 303
    assert overview.study(db, 1).spec.search.max_hours is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("priority", "101", "priority: input should be less than or equal to 100"),
        ("priority", "", "priority: input should be a valid integer"),
        ("trials", "0", "trials: input should be greater than or equal to 1"),
        ("trials", "many", "trials: input should be a valid integer"),
        ("parallel", "1e99", "parallel"),
        ("weight", "nan", "weight"),
        ("max_hours", "-1", "max_hours: input should be greater than 0"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(
    client: TestClient, scene: Scene, field: str, value: str, said: str
) -> None:
    """The page names the field, what was allowed and what was given."""
    answer = client.post("/studies/1/change", content=urlencode({field: value}), headers=FORM)
    assert answer.status_code == 422
    assert said in html.unescape(answer.text)


def test_a_study_that_was_cancelled_offers_no_change(client: TestClient, scene: Scene) -> None:
    """It can be cloned or deleted."""
    client.post("/studies/1/cancel", content="", headers=FORM)
    text = client.get("/studies/1").text
    assert 'id="edit"' not in text
    assert 'href="/new?clone=1"' in text
    assert _post(client, "/studies/1/change", trials="99") == 409


@pytest.mark.parametrize("deed", ["submit", "check"])
def test_a_text_with_mistakes_is_shown_again(client: TestClient, deed: str) -> None:
    """As it was written, each mistake at its line and in the list; nothing is lost."""
    text = TEXT.replace("epochs: 9", "epochs: <b>")
    page = _write(client, text, deed)
    assert f">\n{html.escape(text, quote=False)}</textarea>" in page.replace("&#39;", "'")
    assert re.search(r'<li id="line-23" class="wrong"><span class="said">input should be', page)
    assert 'href="#line-23"' in page
    assert page.count("<li id=") == text.count("\n") + 1
    assert client.get("/api/v1/studies").json()["items"] == []


def test_a_sound_text_becomes_a_study(client: TestClient) -> None:
    """Without scripts: a plan for the asking, then the study's page."""
    page = _write(client, TEXT, "check")
    assert 'id="plan"' in page
    assert "Trial 0, the base recipe" in page
    body = urlencode({"text": TEXT})
    answer = client.post("/new", content=body, headers=FORM, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/1")


def test_the_plan_prices_a_known_data_set(client: TestClient, scene: Scene) -> None:
    """Hours as in an earlier study of the same data set, with the worst case."""
    page = client.get("/new?clone=1").text
    assert "as in study &#39;camvid-street&#39;" in page
    assert "at most" in page
    assert "name: camvid-street-2" in page


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 200, "name: camvid-street"),
        ("?sample=demo", 200, "format: synthetic"),
        ("?sample=demo&preset=&preset=models&preset=losses", 200, "segformer"),
        ("?preset=models&preset=edge", 422, "both set model"),
        ("?preset=none", 422, "no preset is called"),
        ("?clone=gone", 404, "no study has the name"),
        ("?sample=none", 422, "sample"),
    ],
)
def test_what_one_begins_from(client: TestClient, query: str, status: int, said: str) -> None:
    """A sample, with presets or without, or a study; anything else is refused in a sentence."""
    answer = client.get(f"/new{query}")
    assert answer.status_code == status
    assert said in html.unescape(answer.text)


def test_check_answers_with_what_is_wrong(client: TestClient) -> None:
    """The partial has the list with lines and columns, or the plan."""
    wrong = client.post("/partials/check", content=TEXT.replace("seed: 0", "seed: x").encode())
    assert 'data-line="37"' in wrong.text
    sound = client.post("/partials/check", content=TEXT.encode())
    assert 'id="plan"' in sound.text
    assert 'id="wrongs"' not in sound.text


_CLASSES = '{"dataset": {"size": [64, 64], "classes": [' + '"c", ' * 9_000 + '"d"]}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested more than 64 levels deep"),
        ("a: [" + ",".join(map(str, range(20_000))) + "]", "more than 10000 values"),
        (_CLASSES, "named more than once: c"),
        ("x" * 200_000, "larger than 128 KiB"),
    ],
    ids=["brackets", "values", "classes", "size"],
)
def test_check_of_what_is_too_much_is_short(client: TestClient, text: str, said: str) -> None:
    """The sentence says what the bound is, in the editor as in the answer to a submission."""
    checked = client.post("/partials/check", content=text.encode())
    sent = client.post("/new", data={"text": text})
    assert (checked.status_code, sent.status_code) == (200, 422)
    assert said in html.unescape(checked.text)
    assert said in html.unescape(sent.text)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x00", b"{" * 5000, b"a: &a [*a]"])
def test_check_takes_anything(client: TestClient, content: bytes) -> None:
    """What is no text at all has a mistake too."""
    answer = client.post("/partials/check", content=content)
    assert answer.status_code == 200
    assert 'id="wrongs"' in answer.text


def test_texts_have_a_limit(client: TestClient) -> None:
    """A large study is taken, a form beyond all measure is refused."""
    comment = "# " + "long " * 20 + "\n"
    large = TEXT + comment * 500
    assert len(large) > 50_000
    assert "/studies/" in client.post(
        "/new", content=urlencode({"text": large}), headers=FORM, follow_redirects=False
    ).headers["location"]  # fmt: skip
    beyond = urlencode({"text": "x" * TEXT_LIMIT})
    assert client.post("/new", content=beyond, headers=FORM).status_code == 413


def test_another_sites_form_is_refused(client: TestClient) -> None:
    """Nobody's page but ours submits, deletes or restores."""
    headers = {**FORM, "origin": "https://elsewhere.example"}
    for path in ("/new", "/partials/check", "/studies/1/delete", "/studies/1/restore"):
        assert client.post(path, content="text=x", headers=headers).status_code == 403
