"""Names and paths of a new study: none is taken for an id, a list or another place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import document, few
from tests.unit.test_submission import mistakes
from tuner.configs.checks import parse
from tuner.configs.checks.names import wrong_path
from tuner.errors import InvalidSpec
from workers.settings import WorkerSettings

DATA = {"format": "folder", "root": "sets/street", "classes": ["road", "car"], "size": [32, 32]}


@pytest.mark.parametrize("name", ["1", "007", "1.0", "1e3", "2026.11", "0x1F", "0o7", "9" * 50])
def test_a_name_is_not_a_number(name: str) -> None:
    """Numbers are ids, however they are spelled; the message gives a name that would do."""
    assert f"as in run-{name}" in mistakes(document(name=name))[("name",)]


@pytest.mark.parametrize("number", [1, 1.5, 10**30])
def test_a_number_as_a_name_is_reported(number: Any) -> None:
    """Quotes alone would not do, so the message asks for a word."""
    assert f"the name {number} is a number" in mistakes(document(name=number))[("name",)]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "+1",
        "-a",
        ".a",
        "..",
        "a/b",
        "a b",
        " a",
        "a\n",
        "a\0",
        "ä",
        "１",
        "a" * 101,
        "a\\b",
        "~",
    ],
)
def test_a_name_is_plain(name: str) -> None:
    """Whatever is no word in an address is refused in words."""
    assert "a name begins with" in mistakes(document(name=name))[("name",)]


@pytest.mark.parametrize("name", ["a", "1a", "2026-01-01", "v1.0", "1.0-b", "a" * 100, "inf", "no"])
def test_names_that_are_fine(name: str) -> None:
    """Dates, versions and words are names."""
    assert mistakes(document(name=name)) == {}


def test_a_stored_study_may_keep_its_name_and_paths() -> None:
    """What an earlier release took can still be read and given a new budget."""
    old = document(name="7", dataset={**DATA, "root": "../sets", "classes": ["worst", "car"]})

    assert parse(old, is_new=False).name == "7"
    with pytest.raises(InvalidSpec):
        parse(old)


OUTSIDE = ["..", "../x", "a/../../b", "a/..", "..\\x", "a\\..\\b", "%2e%2e/x", "/../etc"]
ODD = ["~/data", "a\\b", "C:\\data", "a\0b", "a\nb", "a\u200bb"]


@pytest.mark.parametrize("path", OUTSIDE + ODD)
@pytest.mark.parametrize("option", ["root", "images", "masks", "train"])
def test_a_path_that_leads_elsewhere_is_refused(option: str, path: str) -> None:
    """`..` in any spelling, `~`, `\\` and characters that cannot be seen are told at submission."""
    assert ("dataset", option) in mistakes(document(dataset={**DATA, option: path}))


@pytest.mark.parametrize(
    "path", ["sets/a..b", "/data/x", "s3://bucket/x", "a b/ü", "x/{split}", "."]
)
def test_paths_that_are_fine(path: str) -> None:
    """Relative, absolute and remote places are the worker's to allow."""
    assert mistakes(document(dataset={**DATA, "root": path})) == {}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"base": {"model": {"weights": "../w.pt"}}}, ("base", "model", "weights")),
        (
            {"base": {"loss": {"name": "distill", "teacher": "../t.pt"}}},
            ("base", "loss", "teacher"),
        ),
        (
            {
                "base": {
                    "loss": {
                        "name": "sum",
                        "terms": [{"name": "dice"}, {"name": "distill", "teacher": "~/t.pt"}],
                    }
                }
            },
            ("base", "loss", "terms", 1, "teacher"),
        ),
        (
            {
                "base": {"loss": {"name": "distill", "teacher": "t.pt"}},
                "space": {"loss.teacher": {"choice": ["a.pt", "../b.pt"]}},
            },
            ("space", "loss.teacher", 0, "choice", 1),
        ),
        (
            {"space": {"model.weights": {"choice": ["none", "file:%2e%2e/w.pt"]}}},
            ("space", "model.weights", 0, "choice", 1),
        ),
        (
            {
                "space": {"model.weights": {"choice": ["none", "~/w.pt"]}},
                "search": {"prior": {"configs": [{"model.weights": "~/w.pt"}]}},
            },
            ("search", "prior", "configs", 0, "model.weights"),
        ),
        ({"dataset": {**DATA, "format": "voc", "lists": "a/../.."}}, ("dataset", "lists")),
    ],
)
def test_every_place_of_a_path_is_looked_at(
    changes: dict[str, Any], place: tuple[str | int, ...]
) -> None:
    """Base recipe, space, prior and the options of every format are held to the same rule."""
    assert place in mistakes(document(**changes))


@few
@given(st.lists(st.sampled_from(["..", ".", "a", "b.c", "...", "..d"]), min_size=1, max_size=5))
def test_only_paths_with_two_dots_lead_out(parts: list[str]) -> None:
    """`..` is refused as a whole part, and nothing else of dots."""
    for sign in "/\\":
        assert (".." in parts) == ("'..'" in (wrong_path(sign.join(parts)) or ""))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("worst", "iou.worst means"),
        ("[car]", "begins a list"),
        ("car\t", "cannot be seen"),
        ("\x1b[31mcar", "cannot be seen"),
        ("car ", "blank"),
        ("c" * 101, "longer than 100"),
        ("ro\u0061\u0308d", "looks the same"),
    ],
)
def test_a_class_can_be_named_in_a_metric(name: str, message: str) -> None:
    """A class name that a metric, a table or a reader could mistake is refused."""
    found = mistakes(document(dataset={**DATA, "classes": ["roäd", name]}))

    assert message in found[("dataset", "classes", 1)]


def test_a_class_that_is_a_number_asks_for_quotes() -> None:
    """A class name is a text."""
    found = mistakes(document(dataset={**DATA, "classes": ["road", 1]}))

    assert "not 1; put it in quotes" in found[("dataset", "classes", 1)]


@pytest.mark.parametrize(
    "label", [{"a=b": "c"}, {"a,b": "c"}, {"a": "b,c"}, {"": "x"}, {"a": " b"}]
)
def test_a_label_is_one_that_a_worker_can_have(label: dict[str, str]) -> None:
    """What SEGTUNE_LABELS cannot say would wait for ever."""
    assert "no worker can have" in str(mistakes(document(resources={"labels": label})))


@pytest.mark.parametrize("labels", ["=x", "a=1,a=2", "a"])
def test_a_worker_says_each_label_once(labels: str) -> None:
    """A label has a name, and one value."""
    with pytest.raises(ValueError, match="label"):
        WorkerSettings(_env_file=None, labels=labels)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "-a", "ä", "a" * 129])
def test_a_worker_has_a_plain_name(name: str) -> None:
    """A name that the server would refuse is refused when the worker starts."""
    with pytest.raises(ValueError, match="worker_name"):
        WorkerSettings(_env_file=None, worker_name=name)
