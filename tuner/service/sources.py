"""What draws a study's trials now: samplers that share the draws by what theirs have earned.

Knowing that takes every trial of the study. So the answer is kept per process, until something
happens in the study: many look at the same page.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from tuner.errors import UnknownComponent
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.service import documents, transfers
from tuner.service.searches import observe
from tuner.spec.sources import SourceView
from tuner.spec.states import StudyState
from tuner.spec.versions import DataVersions
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study

_KEPT = 256  # studies


@dataclass(slots=True)
class _Known:
    """The sources of one database's studies, each after one event; threads share them."""

    found: OrderedDict[int, tuple[int, tuple[SourceView, ...]]] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, study_id: int, event: int) -> tuple[SourceView, ...] | None:
        with self.lock:
            after, views = self.found.get(study_id, (None, ()))
        return views if after == event else None

    def put(self, study_id: int, event: int, views: tuple[SourceView, ...]) -> None:
        with self.lock:
            self.found[study_id] = event, views
            self.found.move_to_end(study_id)
            while len(self.found) > _KEPT:
                self.found.popitem(last=False)


_known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def sources(db: Database, study: int | str) -> tuple[SourceView, ...]:
    """Each source with its share of the draws to come.

    None where one sampler draws by itself, where this release lacks the study's sampler, and where
    the study has ended.

    Raises NotFound, Unreadable.
    """
    with db.snapshot() as session:
        return of_study(session, studies.find(session, study))


def of_study(session: Session, study: Study) -> tuple[SourceView, ...]:
    """The same within a transaction that sees one moment."""
    rules = documents.rules_of(study)
    if StudyState(study.state).has_ended or not _is_shared(rules):
        return ()
    # What is kept of a database goes with its connections.
    known = _known.setdefault(session.get_bind().engine.pool, _Known())
    views = known.get(study.id, study.event_seq)
    if views is None:
        views = _read(session, study, rules)
        known.put(study.id, study.event_seq, views)
    return views


def _is_shared(rules: Rules) -> bool:
    try:
        return rules.is_portfolio
    except UnknownComponent:  # of a plugin that is not installed any more
        return False


def _read(session: Session, study: Study, rules: Rules) -> tuple[SourceView, ...]:
    suggester = Suggester(rules, transfers.earlier(session, rules.spec))
    seen = observe(session, study, rules, DataVersions.of(study.data_versions).ranked)
    return tuple(
        SourceView(
            source=name,
            trials=earned.draws,
            results=earned.results,
            among_best=earned.among_best,
            credit=earned.credit,
            share=earned.share,
        )
        for name, earned in suggester.earnings(seen).items()
    )
