"""What metrics need of one confusion matrix a trial of a study: read once, and kept per process.

A matrix of K×K counts is unpacked when its trial has a new report; its 3·K sums stay in memory.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from tuner.store.reports import counted_step
from tuner.store.tables import Report, Study, Trial

MOST_BYTES = 128 * 2**20  # of sums, all studies of a database together
_PART = 500  # trials read by their ids in one query; more are read with the whole study
Counts = npt.NDArray[np.int64]
_Mark = tuple[int, int]  # step and attempts of a trial: where one changes, its matrix may


@dataclass(frozen=True, slots=True)
class Sums:
    """Right, labelled and predicted pixels by class: N×3×K of N trials, and their ids."""

    ids: Counts
    counts: Counts

    @property
    def hits(self) -> Counts:
        """N×K."""
        return self.counts[:, 0]

    @property
    def labelled(self) -> Counts:
        """N×K."""
        return self.counts[:, 1]

    @property
    def predicted(self) -> Counts:
        """N×K."""
        return self.counts[:, 2]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Sums of a study at an event; a mark stands also for a trial whose report has none."""

    event: int
    marks: dict[int, _Mark]
    sums: Sums


@dataclass(slots=True)
class _Memory:
    """The studies of one database that were asked for last."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    studies: OrderedDict[int, _Kept] = field(default_factory=OrderedDict)

    @property
    def size(self) -> int:
        return sum(kept.sums.counts.nbytes for kept in self.studies.values())


_MEMORIES: WeakKeyDictionary[Any, _Memory] = WeakKeyDictionary()


def counted_sums(session: Session, study: Study, classes: int) -> Sums:
    """Sums of each trial's matrix over so many classes: that of the step which counts."""
    # What is kept of a database goes with its connections.
    memory = _MEMORIES.setdefault(session.get_bind().engine.pool, _Memory())
    with memory.lock:
        known = memory.studies.get(study.id)
    if known is None:
        nothing = Sums(np.zeros(0, np.int64), np.zeros((0, 3, classes), np.int64))
        known = _Kept(-1, {}, nothing)
    if known.event != study.event_seq:
        known = _refreshed(session, study, known, classes)
    with memory.lock:
        memory.studies[study.id] = known
        memory.studies.move_to_end(study.id)
        while len(memory.studies) > 1 and memory.size > MOST_BYTES:
            memory.studies.popitem(last=False)
    return known.sums


def _refreshed(session: Session, study: Study, known: _Kept, classes: int) -> _Kept:
    query = select(Trial.id, Trial.step, Trial.attempts).where(
        Trial.study_id == study.id, Trial.step > 0
    )
    marks = {trial_id: (step, attempts) for trial_id, step, attempts in session.execute(query)}
    changed = {trial_id for trial_id, mark in marks.items() if known.marks.get(trial_id) != mark}
    there = marks.keys() - changed
    stays = [row for row, key in enumerate(known.sums.ids.tolist()) if key in there]
    ids, counts = _read(session, study.id, changed, classes)
    if not len(ids) and len(stays) == len(known.sums.ids):
        return _Kept(study.event_seq, marks, known.sums)
    sums = Sums(
        np.concatenate([known.sums.ids[stays], ids]),
        np.concatenate([known.sums.counts[stays], counts]),
    )
    return _Kept(study.event_seq, marks, sums)


def _read(
    session: Session, study_id: int, trial_ids: Collection[int], classes: int
) -> tuple[Counts, Counts]:
    """Ids and sums of these trials, as far as they sent a matrix."""
    query = (
        select(Report.trial_id, Report.confusion)
        .join(Trial, and_(Trial.id == Report.trial_id, counted_step() == Report.step))
        .where(Report.confusion.is_not(None))
    )
    if len(trial_ids) > _PART:
        query = query.where(Trial.study_id == study_id)
    else:
        query = query.where(Report.trial_id.in_(trial_ids))
    found: list[tuple[int, bytes]] = []
    if trial_ids:
        size = classes * classes * 8
        for trial_id, packed in session.execute(query):
            cells = zlib.decompress(packed or b"", bufsize=size)
            if trial_id in trial_ids and len(cells) == size:
                found.append((trial_id, cells))
    ids = np.array([trial_id for trial_id, _ in found], np.int64)
    return ids, summed([cells for _, cells in found], classes)


def summed(cells: Sequence[bytes], classes: int) -> Counts:
    """N×3×K of N matrices as `reports.pack` gives them."""
    matrices = np.frombuffer(b"".join(cells), "<i8").reshape(-1, classes, classes)
    hits = matrices.diagonal(axis1=1, axis2=2)
    return np.stack([hits, matrices.sum(axis=2), matrices.sum(axis=1)], axis=1).astype(np.int64)
