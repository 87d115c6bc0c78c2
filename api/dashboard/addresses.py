"""Trials of several studies in an address: `3:12,3:14`, each the id of its study and its number."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from api.deps import MAX_ID
from tuner.errors import InvalidInput, Problem

_PLACE = re.compile(r"(\d{1,10}):(\d{1,10})", re.ASCII)


class TrialAddress(NamedTuple):
    """One trial among all studies."""

    study: int
    number: int

    def __str__(self) -> str:
        """Give `3:12`."""
        return f"{self.study}:{self.number}"


def parse(texts: Iterable[str]) -> tuple[TrialAddress, ...]:
    """Each trial once, in order; commas part them as repeated fields do. Raises InvalidInput."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(_read(part) for part in parts if part))


def write(trials: Iterable[TrialAddress]) -> str:
    """The trials as one text."""
    return ",".join(map(str, trials))


def of_study(trials: Iterable[TrialAddress], study: int) -> tuple[int, ...]:
    """Numbers of those that belong to a study."""
    return tuple(one.number for one in trials if one.study == study)


def _read(part: str) -> TrialAddress:
    found = _PLACE.fullmatch(part)
    if found is None or max(map(int, found.groups())) > MAX_ID:
        message = (
            f"'{part[:40]}' names no trial; write the id of its study and its number, as in 3:12"
        )
        raise InvalidInput([Problem(("trials",), message)])
    return TrialAddress(int(found[1]), int(found[2]))
