"""Which running trials make room for studies of higher priority; pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple


class Needy(NamedTuple):
    """A study that would begin so many trials more if workers that fit were free."""

    study: int
    priority: int
    wanted: int
    fits: Collection[str]  # workers, by name


class Holder(NamedTuple):
    """A study of which trials run."""

    study: int
    priority: int
    running: int
    weight: float


class HeldLease(NamedTuple):
    """A trial in a worker's hands; one that is leaving gives its worker up without being asked."""

    lease: str
    worker: str
    holder: Holder
    since: datetime
    is_leaving: bool = False
    may_yield: bool = True
    yields_to: int | None = None  # the study for which it was asked already


def choose(needy: Sequence[Needy], held: Collection[HeldLease]) -> dict[str, int]:
    """Leases whose trials are to yield, each with the study that it makes room for.

    The neediest come first: by priority, and as given where that is equal. Each gets as many as it
    wants at most, less those that leave anyway, and only of studies of lower priority. What was
    asked before is asked again rather than another; then the lowest priority gives first, of equal
    ones the study with most running trials by weight, and of its trials the one that began last.
    """
    left = {one.lease: one for one in held}
    given = Counter(one.holder.study for one in held if one.is_leaving or one.yields_to is not None)
    chosen: dict[str, int] = {}
    for study in sorted(needy, key=lambda each: -each.priority):
        near = [one for one in left.values() if one.worker in study.fits]
        leaving = [one for one in near if one.is_leaving and _makes_room(study, one.holder)]
        able = [
            one
            for one in near
            if one.may_yield and not one.is_leaving and one.holder.priority < study.priority
        ]
        asked = [one for one in able if one.yields_to is not None]
        asked.sort(key=lambda one: one.yields_to != study.study)
        known = [*leaving, *asked][: study.wanted]
        rest = [one for one in able if one.yields_to is None]
        for one in (*known, *_fairly(rest, study.wanted - len(known), given)):
            del left[one.lease]
            if not one.is_leaving:
                chosen[one.lease] = study.study
    return chosen


def _makes_room(study: Needy, holder: Holder) -> bool:
    """Whether a worker that this study's trial leaves goes to the needy one."""
    return holder.priority < study.priority or holder.study == study.study


def _fairly(able: Collection[HeldLease], count: int, given: Counter[int]) -> list[HeldLease]:
    """So many leases of the studies that can best spare them; notes how many each has given."""
    by_study: dict[Holder, list[HeldLease]] = {}
    for one in sorted(able, key=lambda one: (one.since, one.lease)):
        by_study.setdefault(one.holder, []).append(one)
    taken = list[HeldLease]()
    while by_study and len(taken) < count:
        first = min(by_study, key=lambda each: _order(each, given[each.study]))
        taken.append(by_study[first].pop())
        given[first.study] += 1
        if not by_study[first]:
            del by_study[first]
    return taken


def _order(holder: Holder, given: int) -> tuple[float, float, int]:
    """Less is taken from first: priority, then running trials by weight, then the youngest."""
    return holder.priority, -(holder.running - given) / holder.weight, -holder.study
