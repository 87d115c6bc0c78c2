"""Trials of several studies in an address: `3:12,camvid:14`, each its study and its number."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from api.deps import MAX_ID
from tuner.errors import InvalidInput, Problem

_PLACE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})[:#](\d{1,10})", re.ASCII)


class TrialAddress(NamedTuple):
    """One trial among all studies, by the id or the name of its own."""

    study: int | str
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
    study = int(found[1]) if found and found[1].isdecimal() else found and found[1]
    if found is None or study is None or max(int(found[2]), _id(study)) > MAX_ID:
        message = (
            f"'{part[:40]}' names no trial; write the name or id of its study and its number, as "
            "in camvid:12 or as in 3:12"
        )
        raise InvalidInput([Problem(("trials",), message)])
    return TrialAddress(study, int(found[2]))


def _id(study: int | str) -> int:
    return study if isinstance(study, int) else 0
