"""One of a thing is not "1 things": `tuner.wording.quantity` knows how many it says."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.house.tree import sources, text, tracked

THINGS = (
    "annotation|attempt|channel|colour|core|epoch|file|group|hour|image|mask|metric|pair|problem"
    "|segment|seed|size|tensor|term|thread|trial|worker"
)
KINDS = "completed|CPU|device|different|ended|other|paired|running|training|validation"
# What follows a number in braces: ` trials`, ` completed trials`.
PLURAL = re.compile(rf"^ (({KINDS}) )?({THINGS})s\b")
IN_A_PAGE = re.compile(rf"\}}\}} (({KINDS}) )?({THINGS})s\b")


def _plurals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every number in an f-string that is followed by a plural."""
    for node in ast.walk(ast.parse(source)):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, after in pairwise(parts):
            words = str(after.value) if isinstance(after, ast.Constant) else ""
            if isinstance(value, ast.FormattedValue) and PLURAL.match(words):
                yield value.lineno, ast.unparse(value.value) + words


PRODUCT = [path for path in sources() if path.parts[0] in {"tuner", "api", "workers"}]


def _found_in(paths: list[Path]) -> list[str]:
    return [f"{path}:{line}: {said}" for path in paths for line, said in _plurals(text(path))]


def test_a_message_counts_one_thing_as_one() -> None:
    """No message puts a plural behind a number that may be 1."""
    assert _found_in(PRODUCT) == []


@pytest.mark.parametrize(
    "page", [path for path in tracked() if path.suffix == ".html"], ids=lambda path: path.name
)
def test_a_page_counts_one_thing_as_one(page: Path) -> None:
    """No template puts a plural behind a number that may be 1."""
    assert [found.group() for found in IN_A_PAGE.finditer(text(page))] == []


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('f"{n} trials"', True),
        ('f"the study has {len(found)} running trials; wait"', True),
        ("f\"{quantity(n, 'trial')} ended\"", False),
        ('f"{pruner} stops"', False),
    ],
)
def test_a_plural_behind_a_number_is_recognised(source: str, is_found: bool) -> None:
    """The rule finds a number with its things, and no other words in braces."""
    assert is_found == bool(list(_plurals(source)))
