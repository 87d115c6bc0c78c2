"""The timeline of attempts: a lane for each worker, what it trained when, and how that ended."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from api.dashboard.charts.sample import columns

MOST_BARS = 3000
# How an attempt ended, as a person tells them apart.
KINDS: Mapping[str | None, str] = {
    None: "running",
    "completed": "completed",
    "pruned": "pruned",
    "paused": "paused",
    "stopped": "cancelled",
    "yielded": "yielded",
    "outdated": "yielded",
    "failed": "failed",
    "crashed": "failed",
    "hung": "failed",
    "lost": "lost",
}


class Attempted(Protocol):
    """One lease of a trial."""

    @property
    def trial(self) -> int:
        """Which trial."""
        ...

    @property
    def number(self) -> int:
        """The how manieth of its attempts."""
        ...

    @property
    def worker(self) -> str:
        """Name of the worker."""
        ...

    @property
    def started_at(self) -> datetime:
        """When it was leased."""
        ...

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None while it runs."""
        ...

    @property
    def outcome(self) -> str | None:
        """How it ended."""
        ...


class Bar(NamedTuple):
    """A stretch of a worker's time in seconds since 1970, of one attempt or several short ones."""

    lane: int
    start: float
    end: float
    kind: str
    trial: int
    attempt: int
    stands_for: int = 1  # attempts


@dataclass(frozen=True, slots=True)
class Lane:
    """A worker: its attempts, and its seconds by how they ended."""

    worker: str
    attempts: int
    seconds: Mapping[str, float]

    @property
    def busy(self) -> float:
        """Seconds that it had a trial."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars by lane and time, and all attempts together by how they ended."""

    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    attempts: int
    seconds: Mapping[str, float]
    counts: Mapping[str, int]
    begin: float
    end: float

    @property
    def busy(self) -> float:
        """Seconds of all workers."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class TimelineData:
    """The timeline as a script draws it: of each bar a cell in every column."""

    workers: tuple[str, ...]
    begin: float
    end: float
    attempts: int
    lanes: tuple[object, ...]
    starts: tuple[object, ...]
    ends: tuple[object, ...]
    kinds: tuple[object, ...]
    trials: tuple[object, ...]
    numbers: tuple[object, ...]
    counts: tuple[object, ...]


def fold_timeline(
    attempts: Sequence[Attempted], now: datetime, *, points: int = 800, most: int = MOST_BARS
) -> Timeline:
    """Bars of all attempts; where there are too many, short ones side by side become one.

    What runs ends `now`. Bars of one lane never overlap in a way that the attempts do not.
    """
    names = dict.fromkeys(one.worker for one in attempts)
    lane_of = {name: place for place, name in enumerate(sorted(names))}
    bars = [_bar(one, lane_of[one.worker], now) for one in attempts]
    seconds: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    own: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for bar in bars:
        seconds[bar.kind] += bar.end - bar.start
        counts[bar.kind] += 1
        own[bar.lane][bar.kind] += bar.end - bar.start
    held: dict[int, int] = defaultdict(int)
    for bar in bars:
        held[bar.lane] += 1
    begin = min((bar.start for bar in bars), default=now.timestamp())
    end = max((bar.end for bar in bars), default=now.timestamp())
    return Timeline(
        lanes=tuple(Lane(name, held[lane], dict(own[lane])) for name, lane in lane_of.items()),
        bars=merged(bars, (end - begin) / points, most),
        attempts=len(bars),
        seconds=dict(seconds),
        counts=dict(counts),
        begin=begin,
        end=end,
    )


def merged(bars: Sequence[Bar], width: float, most: int) -> tuple[Bar, ...]:
    """At most about `most` bars: those shorter than `width` join their neighbours in the lane.

    A joined bar counts what it stands for, and looks like the longest of them. The width is
    doubled until there are few enough.
    """
    found = sorted(bars, key=lambda bar: (bar.lane, bar.start))
    for _ in range(64):
        if len(found) <= most or width <= 0:
            break
        found = _joined(found, width)
        width *= 2
    return tuple(found)


def timeline_data(timeline: Timeline) -> TimelineData:
    """The timeline for a script."""
    rows = [
        (
            bar.lane,
            round(bar.start - timeline.begin, 1),
            round(bar.end - timeline.begin, 1),
            bar.kind,
            bar.trial,
            bar.attempt,
            bar.stands_for,
        )
        for bar in timeline.bars
    ]
    lanes, starts, ends, kinds, trials, numbers, counts = columns(rows, 7)
    return TimelineData(
        workers=tuple(lane.worker for lane in timeline.lanes),
        begin=timeline.begin,
        end=timeline.end,
        attempts=timeline.attempts,
        lanes=lanes,
        starts=starts,
        ends=ends,
        kinds=kinds,
        trials=trials,
        numbers=numbers,
        counts=counts,
    )


def _bar(one: Attempted, lane: int, now: datetime) -> Bar:
    kind = KINDS.get(one.outcome, "failed")
    if one.outcome is None and one.ended_at is not None:
        kind = "yielded"
    start = one.started_at.timestamp()
    end = max(start, (one.ended_at or now).timestamp())
    return Bar(lane, start, end, kind, one.trial, one.number)


def _joined(bars: Sequence[Bar], width: float) -> list[Bar]:
    found: list[Bar] = []
    longest = 0.0
    for bar in bars:
        last = found[-1] if found else None
        length = bar.end - bar.start
        fits = (
            last is not None
            and last.lane == bar.lane
            and length < width
            and bar.start - last.end < width
            and (last.end - last.start < width or last.stands_for > 1)
            and max(last.end, bar.end) - last.start < 4 * width
        )
        if last is None or not fits:
            found.append(bar)
            longest = length
            continue
        leads = length > longest
        longest = max(longest, length)
        found[-1] = Bar(
            last.lane,
            last.start,
            max(last.end, bar.end),
            bar.kind if leads else last.kind,
            bar.trial if leads else last.trial,
            bar.attempt if leads else last.attempt,
            last.stands_for + bar.stands_for,
        )
    return found
