"""How far studies have come: their best so far, read once and then only what has ended since.

A trial that has ended stays as it is. So what ended trials come to is kept per process, up to the
study's last event, and a list of large studies reads no trial twice.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from tuner.service import documents
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.versions import DataVersions, is_comparable
from tuner.store import study_lists
from tuner.store.engine import Database
from tuner.store.study_lists import Brief, EndedRow
from tuner.store.tables import Study

POINTS = 30  # of a sparkline
_KEPT = 10_000  # studies
TrendPoint = tuple[int, float]  # trials that had ended, and the best value by then


@dataclass(slots=True)
class Track:
    """What the ended trials of a study come to, up to one of its events."""

    maximize: bool
    ranked: str | None  # version of the data; trials on others do not count
    event: int = 0
    numbers: int = 0  # a bit for each trial that has ended
    ended: int = 0
    best: float | None = None
    trial: int | None = None
    base: float | None = None
    improvements: tuple[TrendPoint, ...] = ()
    epochs_saved: int = 0
    seconds_saved: float = 0.0

    def trend(self) -> tuple[TrendPoint, ...]:
        """Improvements up to now, so few that they can be drawn in a corner."""
        if not self.improvements:
            return ()
        last = self.improvements[-1]
        shown = thinned(self.improvements, POINTS - 1)
        return (*shown, (self.ended, last[1])) if self.ended > last[0] else shown

    def extended(self, ended: Iterable[EndedRow]) -> "Track":
        """It with further ended trials, in the order of their ending."""
        longer = replace(self)
        for one in ended:
            longer._add(one)
        return longer

    def _add(self, one: EndedRow) -> None:
        self.numbers |= 1 << one.number
        self.ended += 1
        left = one.epochs - one.step
        if one.state == TrialState.PRUNED and left > 0:
            self.epochs_saved += left
            if one.step and isfinite(one.seconds):
                self.seconds_saved += left * one.seconds / one.step
        value = one.value
        if one.state != TrialState.COMPLETED or value is None or not isfinite(value):
            return
        if is_comparable(one.data_version, self.ranked):
            if one.number == 0 and one.source != TrialSource.IMPORT:
                self.base = value
            if one.feasible and one.source != TrialSource.CONFIRM:
                self._add_result(one.number, value)

    def _add_result(self, number: int, value: float) -> None:
        best = self.best
        if best is None or (value > best if self.maximize else value < best):
            self.best, self.trial = value, number
            self.improvements = (*self.improvements, (self.ended, value))
        elif value == best and self.trial is not None:  # of equal ones the earlier leads
            self.trial = min(self.trial, number)


def thinned(points: Sequence[TrendPoint], most: int) -> tuple[TrendPoint, ...]:
    """So many of the points, the first and the last among them, evenly by their number."""
    if len(points) <= most:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(index * last / (most - 1))] for index in range(most))


@dataclass(slots=True)
class _Kept:
    """The tracks of one database's studies, those last asked for; threads share them."""

    tracks: OrderedDict[int, Track] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, study_id: int) -> Track | None:
        with self.lock:
            return self.tracks.get(study_id)

    def put(self, study_id: int, track: Track) -> None:
        with self.lock:
            known = self.tracks.get(study_id)
            if known is None or known.event <= track.event or not _is_alike(known, track):
                self.tracks[study_id] = track
            self.tracks.move_to_end(study_id)
            while len(self.tracks) > _KEPT:
                self.tracks.popitem(last=False)


_kept: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()


def tracks(db: Database, session: Session, rows: Collection[Study | Brief]) -> dict[int, Track]:
    """The track of each study, as its row was read; those of damaged rows are left out."""
    kept = _kept.setdefault(db, _Kept())
    found: dict[int, Track] = {}
    unknown: dict[int, Track] = {}
    for row in rows:
        try:
            empty = Track(_maximize(row), DataVersions.of(row.data_versions).ranked)
        except documents.DAMAGED:
            continue
        track = _brought_up(session, row, kept.get(row.id), empty)
        if track is None:
            unknown[row.id] = empty
        else:
            found[row.id] = track
    found |= _read(session, unknown)
    for row in rows:
        if row.id in found:
            found[row.id] = replace(found[row.id], event=row.event_seq)
            kept.put(row.id, found[row.id])
    return found


def _brought_up(
    session: Session, row: Study | Brief, known: Track | None, empty: Track
) -> Track | None:
    """The known track with what has ended since; None where it must be read anew."""
    if known is None or not _is_alike(known, empty) or known.event > row.event_seq:
        return None
    if known.event == row.event_seq:
        return known
    changed = study_lists.changed(session, row.id, since=known.event)
    if any(known.numbers >> one.number & 1 for one in changed):
        return None  # a trial that had ended is another one now
    return known.extended(one for one in changed if TrialState.known(one.state).has_ended)


def _read(session: Session, unknown: dict[int, Track]) -> dict[int, Track]:
    ended: dict[int, list[EndedRow]] = {study_id: [] for study_id in unknown}
    for one in study_lists.ended(session, list(unknown)):
        ended[one.study_id].append(one)
    return {study_id: track.extended(ended[study_id]) for study_id, track in unknown.items()}


def _is_alike(one: Track, other: Track) -> bool:
    return (one.maximize, one.ranked) == (other.maximize, other.ranked)


def _maximize(row: Study | Brief) -> bool:
    """Whether a study's first objective is to be high, as its document says."""
    return bool(row.spec["objectives"][0]["direction"] != "minimize")
