"""Nothing of one developer's machine gets into the repository."""

import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, tracked

BINARY = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".woff2", ".gz", ".zip", ".npz", ".pt"}
HOME = re.compile(r"(?<![\w.])/(?:home|root|Users)/[\w.-]")
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|//[\w.-]*pypi[\w.-]*/simple|pythonhosted")


def _hits(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked():
        if path.suffix in BINARY or path == Path("tests/house/test_leaks.py"):
            continue
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        found += [f"{path}:{at}" for at, line in enumerate(lines, 1) if pattern.search(line)]
    return found


@pytest.mark.parametrize("pattern", [HOME, INDEX], ids=["home", "index"])
def test_no_file_names_a_place_of_one_machine(pattern: re.Pattern[str]) -> None:
    """No tracked file holds a home directory or the address of a package index."""
    assert [] == _hits(pattern)


def test_no_large_file_is_tracked() -> None:
    """A tracked file has 1 MB at most: data and weights live elsewhere."""
    large = [str(path) for path in tracked() if (ROOT / path).stat().st_size > 1_000_000]

    assert [] == large
