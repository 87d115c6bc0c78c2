"""Params drawn outside of a study's lock, for samplers that take up to a second over them.

Such a sampler says `AHEAD = True`. While it draws, every other worker's heartbeats and reports go
through. Once two trials run, the next draw is also made ahead, in the background: it lacks what
came since a trial was last taken, as if one more worker were running. A worker that is alone gets
a draw that has seen everything, and always the same from the same trials.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from tuner.errors import NotFound
from tuner.search.rules import Rules
from tuner.service import budget, documents, scheduling
from tuner.service.searches import Search, Searches
from tuner.store import studies
from tuner.store.engine import Database

_CROWD = 2  # trials that run when one more is drawn ahead: the worker that asks next is not alone


@contextmanager
def ready(db: Database, searches: Searches, study_id: int, rules: Rules) -> Iterator[None]:
    """Within it the params that the study needs next are ready, if its sampler is a slow one.

    No other thread of this process makes a slow draw for the study meanwhile. A quick one, or
    another process, may take the number: then the transaction draws again. Workers that have
    waited enough for each other get a draw that the transaction makes, by quick samplers alone.
    """
    turn = searches.turn(study_id)
    is_quick = rules.is_portfolio and turn.is_used_up
    if not rules.draws_ahead or is_quick or _need(db, searches, study_id) is None:
        yield  # nothing to draw, or quickly done: nobody waits for a turn
        return
    with turn.taken(must_wait=not rules.is_portfolio) as is_ours:
        if is_ours:  # the one before may have taken what was ready
            _prepare(_need(db, searches, study_id))
        yield


def order(db: Database, searches: Searches, study_id: int, rules: Rules) -> None:
    """Have the study's next params drawn in the background, if its sampler is a slow one."""
    if rules.draws_ahead and not searches.turn(study_id).is_used_up:
        searches.background(partial(_prefetch, db, searches, study_id))


class _Need(NamedTuple):
    """A draw that is needed next: its search, number, what it is to know, and whether all of it."""

    search: Search
    number: int
    revision: int
    latest: bool


def _prefetch(db: Database, searches: Searches, study_id: int) -> None:
    with searches.turn(study_id).taken_if_free() as is_ours:
        if is_ours:  # otherwise a worker draws, which orders another
            _prepare(_need(db, searches, study_id, is_prefetch=True))


def _prepare(need: _Need | None) -> None:
    if need is not None:
        need.search.prepare(need.number, need.revision, latest=need.latest)


def _need(
    db: Database, searches: Searches, study_id: int, *, is_prefetch: bool = False
) -> _Need | None:
    """The draw that a worker gets which asks now, or with `is_prefetch` the one after it."""
    now = db.now()
    with db.reading() as session:
        try:
            study = studies.find(session, study_id)
        except NotFound:
            return None
        rules = documents.rules_of(study)
        load = studies.load(session, [study_id])[study_id]
        if is_prefetch:
            is_wanted = scheduling.is_at_work(study, now=now) and load.running >= _CROWD
        else:
            is_wanted = scheduling.may_hand_out(study, load, now=now) and not load.waiting
        if not is_wanted or not budget.may_draw(study, rules):
            return None
        with searches.of(session, study, rules) as search:
            if load.paused and not is_prefetch and search.promotion(closing=False):
                return None
            return _Need(
                search, study.trial_count, search.revision, is_prefetch or load.running == 0
            )
