"""Nothing of one developer's machine gets into the repository."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, tracked

BINARY = {
    ".png",
    ".webp",
    ".jpg",
    ".jpeg",
    ".gif",
    ".ico",
    ".woff2",
    ".gz",
    ".xz",
    ".zip",
    ".npz",
    ".pt",
}
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
    """A tracked file has 1 MB at most: data and weights live elsewhere; a browser's library may."""
    large = [str(path) for path in tracked() if (ROOT / path).stat().st_size > 1_000_000]

    assert {path for path in large if "/static/vendor/" not in path} == set()


def test_a_library_for_browsers_is_the_one_that_its_note_names() -> None:
    """Whoever looks knows version and licence; a changed copy is found out."""
    folder = ROOT / "api/dashboard/static/vendor"
    note = (folder / "README.md").read_text(encoding="utf-8")

    for file in folder.glob("*.js"):
        assert f"| {file.name} |" in note
        assert hashlib.sha256(file.read_bytes()).hexdigest() in note
        assert (folder / f"{file.name.partition('.')[0]}.LICENSE.txt").exists()
