"""Paths of things below the REST interface's own."""

from urllib.parse import quote

StudyId = int | str


def study(key: StudyId) -> str:
    """A study, by id or name."""
    return f"studies/{quote(str(key), safe='')}"


def worker(name: str) -> str:
    """A worker, by name."""
    return f"workers/{quote(name, safe='')}"
