"""Texts of studies: every mistake has its line, and what is begun from something known is sound."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.configs import checks, presets, studies
from tuner.errors import InvalidInput
from tuner.service import drafts, overview
from tuner.service.drafts import Draft
from tuner.spec import yaml_core
from tuner.spec.documents import parse_yaml
from tuner.spec.study_text import essential, written
from tuner.spec.views import StudyView
from tuner.store.engine import Database

TEXT = studies.text("camvid")
SECTIONS = (
    ("dataset",),
    ("base",),
    ("base", "model"),
    ("base", "optimizer"),
    ("base", "training"),
    ("objectives", 0),
    ("space", "training.batch_size"),
    ("space", "optimizer.lr", 1),
    ("search",),
    ("resources",),
    (),
)
_each_time = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def db(clocked_database: Database) -> Database:
    """A database of each kind; what a text says of itself is the same on both."""
    return clocked_database


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("epochs: 9", "epochs: many", 23, "base.training.epochs: input should be a valid integer"),
        ("encoder: hrnet_w18_small,", "encoder: hrnet,", 18, "no encoder is called 'hrnet'"),
        ("name: camvid-street\n", "", 7, "name: is missing"),
        ("  classes: [", "  # [", 8, "dataset.classes: is missing"),
        ("sampler: tpe", "sampler: tpw", 37, "no sampler is called 'tpw'"),
        ("{int: [0, 15]}", "{int: [0, 15], when: {a.b: c}}", 35, "space.augment.rotate"),
        ("metric: miou", "metric: mious", 16, "mious"),
        ("root: camvid", "root: ../secret", 10, "leads out of the folder"),
        ("trials: 14", "trials: 14, trails: 3", 37, "search.trails: no such key"),
        ("size: [72, 96]", "size: [72, 96", 16, "it is not YAML"),
        ("search: {", "search: {x: {", 38, "it is not YAML"),
        ("name: camvid-street", "name: camvid-street\nname: b", 8, "name is given twice"),
        ("seed: 0", "seed: .nan", 37, "nan is not a finite number"),
        ("  optimizer.name:", "\toptimizer.name:", 29, "a tab is not allowed here"),
    ],
)
def test_a_mistake_has_its_line(
    db: Database, before: str, after: str, line: int, message: str
) -> None:
    """Shape, meaning and language alike; a missing key stands where its section does."""
    assert before in TEXT
    draft = drafts.check(db, TEXT.replace(before, after, 1))

    assert draft.plan is None
    said = [(one.line, f"{one.path}: {one.message}") for one in draft.mistakes]
    assert any(at == line and message in text for at, text in said), said


@_each_time
@given(
    section=st.sampled_from(SECTIONS),
    form=st.sampled_from(["flow", "block", "json", "written"]),
    blank=st.integers(0, 3),
)
def test_an_unknown_key_is_found_where_it_stands(
    database: Database, section: tuple[Any, ...], form: str, blank: int
) -> None:
    """In any section and every way of writing."""
    document = json.loads(json.dumps(parse_yaml(TEXT.encode())))
    document["resources"] = {"gpus": 0}
    place = document
    for part in section:
        place = place[part]
    place["zzz"] = 1
    forms = {
        "flow": lambda: "\n".join(
            f"{key}: {yaml_core.dump(value, flow=True)}" for key, value in document.items()
        ),
        "block": lambda: yaml_core.dump(document),
        "json": lambda: json.dumps(document, indent=2),
        "written": lambda: written(document),
    }
    text = "\n" * blank + forms[form]()
    lines = [number for number, line in enumerate(text.split("\n"), 1) if "zzz" in line]

    mistakes = drafts.check(database, text).mistakes

    assert [one.line for one in mistakes if "zzz" in one.path] == lines
    found = next(one for one in mistakes if "zzz" in one.path)
    assert text.split("\n")[found.line - 1][found.column - 1 :].lstrip('"').startswith("zzz")


@_each_time
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 40),
    new=st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["&a", "*a", "{", "- "]),
)
def test_any_text_is_a_study_or_has_a_place(
    database: Database, start: int, length: int, new: str
) -> None:
    """Whatever is cut out and put in: a plan, or mistakes that stand within the text."""
    text = TEXT[:start] + new + TEXT[start + length :]
    draft = drafts.check(database, text)

    assert (draft.plan is None) == bool(draft.mistakes)
    for one in draft.mistakes:
        assert 1 <= one.line <= text.count("\n") + 1
        assert one.column >= 1
        assert one.message


@pytest.mark.parametrize(
    "text", ["", "\n\n", "[]", "5", "{", "{}", '{"name": 5', "\ufeff{}", "---\n"]
)
def test_what_is_no_study_at_all(db: Database, text: str) -> None:
    """Empty, a list, half of a document: one sentence or more, never an error of the server."""
    assert drafts.check(db, text).mistakes


def test_a_huge_text_is_refused(db: Database) -> None:
    """Its size is said, and nothing of it is read."""
    (mistake,) = drafts.check(db, "# much\n" * 30_000).mistakes
    assert "larger than 128 KiB" in mistake.message


def test_what_stands_against_it_on_this_server(db: Database) -> None:
    """A name that is taken and a source that does not exist are mistakes in their lines."""
    Fleet(db).submit(spec("camvid-street"))
    draft = drafts.check(db, TEXT.replace("seed: 0}", "seed: 0, warm_start: [gone]}"))

    assert [(one.line, one.path) for one in draft.mistakes] == [
        (7, "name"),
        (37, "search.warm_start.0"),
    ]
    assert "a study named 'camvid-street' exists" in draft.mistakes[0].message


def test_a_sound_text_has_a_plan_and_is_submitted(db: Database) -> None:
    """What is checked is what is queued; a warning says that nobody can train it now."""
    draft = drafts.check(db, TEXT)
    assert draft.plan is not None
    assert draft.plan.trials == 14
    assert ["no worker is there" in text for text in draft.warnings] == [True]

    view = drafts.submit(db, TEXT)
    assert isinstance(view, StudyView)
    assert view.spec == checks.parse(parse_yaml(TEXT.encode()))
    again = drafts.submit(db, TEXT)
    assert isinstance(again, Draft)
    assert again.text == TEXT


def test_carriage_returns_move_no_line(db: Database) -> None:
    """A browser's form ends lines with two signs."""
    text = TEXT.replace("epochs: 9", "epochs: many").replace("\n", "\r\n")
    assert [one.line for one in drafts.check(db, text).mistakes] == [23]


@pytest.mark.parametrize("name", drafts.SAMPLES)
def test_a_sample_is_sound_and_its_name_free(db: Database, name: str) -> None:
    """The second study that begins from it has another name."""
    first = drafts.submit(db, drafts.sample(db, name))
    second = drafts.submit(db, drafts.sample(db, name))
    assert isinstance(first, StudyView)
    assert isinstance(second, StudyView)
    assert second.name == f"{first.name}-2"


@pytest.mark.parametrize("preset", presets.presets())
def test_every_preset_makes_a_sound_study(db: Database, preset: str) -> None:
    """It takes the place of what the sample says of its section."""
    draft = drafts.check(db, drafts.sample(db, "demo", [preset]))
    assert draft.mistakes == ()
    assert draft.plan is not None
    assert set(presets.presets()[preset].space) <= set(draft.plan.spec.space.root)


def test_two_presets_of_one_section_are_refused(db: Database) -> None:
    """So is an unknown one, with those that there are."""
    with pytest.raises(InvalidInput, match="both set model"):
        drafts.sample(db, "demo", ["models", "edge"])
    with pytest.raises(InvalidInput, match="no preset is called 'mdels'"):
        drafts.sample(db, "demo", ["mdels"])


@pytest.mark.parametrize("name", drafts.SAMPLES)
def test_a_copy_means_the_same_study(db: Database, name: str) -> None:
    """Only its name is another one, and only what differs from the defaults is written."""
    original = checks.parse(studies.document(name))
    text = written(essential(original))
    assert checks.parse(parse_yaml(text.encode())) == original
    Fleet(db).submit(original)

    copy = drafts.check(db, drafts.copied(db, original.name))

    assert copy.mistakes == ()
    assert copy.plan is not None
    assert copy.plan.spec == original.model_copy(update={"name": f"{original.name}-2"})
    assert overview.study(db, original.name).spec == original
