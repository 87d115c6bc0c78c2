"""Params drawn outside of a study's lock, for samplers that take up to a second over them.

Such a sampler says `AHEAD = True`. While it draws, every other worker's heartbeats and reports go
through. Once two trials run, the next draw is also made ahead, in the background: it lacks what
came since a trial was last taken, as if one more worker were running. A worker that is alone gets
a draw that has seen everything, and always the same from the same trials; where something changed
between the draw and its transaction, the transaction draws again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from tuner.errors import NotFound
from tuner.search.rules import Rules
from tuner.service import budget, deployments, documents, scheduling
from tuner.service.deployments import WorkerRole
from tuner.service.searches import Search, Searches
from tuner.store import studies
from tuner.store.engine import Database

_CROWD = 2  # trials that run when one more is drawn ahead: the worker that asks next is not alone


@contextmanager
def ready(
    db: Database, searches: Searches, study_id: int, rules: Rules, role: WorkerRole
) -> Iterator[None]:
    """Within it the params that such a worker needs are ready, if the study's sampler is slow.

    No other thread of this process makes a slow draw for the study meanwhile. A quick one, or
    another process, may take the number: then the transaction draws again. Workers that have
    waited enough for each other get a draw that the transaction makes, by quick samplers alone;
    not so a worker that is alone, whose draw is always a full one.
    """
    if not rules.draws_ahead or not _may_wait(db, searches, study_id, rules):
        yield
        return
    if _need(db, searches, study_id, role) is None:
        yield  # nothing is to be drawn: it waits for no turn
        return
    must_wait = not rules.is_portfolio or _is_enough(searches, study_id, rules)
    with searches.turn(study_id).taken(must_wait=must_wait) as is_ours:
        # Of those that found nobody else at work the first one is at work now.
        if is_ours and _may_wait(db, searches, study_id, rules):
            _prepare(_need(db, searches, study_id, role))  # the one before may have taken it
            yield
            return
    yield


def order(db: Database, searches: Searches, study_id: int, rules: Rules) -> None:
    """Have the study's next params drawn in the background, if its sampler is a slow one."""
    if rules.draws_ahead and not _is_enough(searches, study_id, rules):
        searches.background(partial(_prefetch, db, searches, study_id))


def _may_wait(db: Database, searches: Searches, study_id: int, rules: Rules) -> bool:
    """Whether a worker that asks now gets a slow draw."""
    return not _is_enough(searches, study_id, rules) or _is_alone(db, study_id)


def _is_enough(searches: Searches, study_id: int, rules: Rules) -> bool:
    """Whether workers have waited for each other as long as they may, and need not."""
    return rules.is_portfolio and searches.turn(study_id).is_used_up


def _is_alone(db: Database, study_id: int) -> bool:
    """Whether no trial of the study is trained at this moment."""
    with db.reading() as session:
        return not studies.load(session, [study_id])[study_id].running


class _Need(NamedTuple):
    """A draw that is needed next: its search, number, what it is to know, and whether all of it."""

    search: Search
    number: int
    revision: int
    latest: bool


def _prefetch(db: Database, searches: Searches, study_id: int) -> None:
    with searches.turn(study_id).taken_if_free() as is_ours:
        if is_ours:  # otherwise a worker draws, which orders another
            _prepare(_need(db, searches, study_id, role=None))


def _prepare(need: _Need | None) -> None:
    if need is not None:
        need.search.prepare(need.number, need.revision, latest=need.latest)


def _need(db: Database, searches: Searches, study_id: int, role: WorkerRole | None) -> _Need | None:
    """The draw that a worker of that role gets which asks now; None: the one after it."""
    now, is_prefetch = db.now(), role is None
    with db.reading() as session:
        try:
            study = studies.find(session, study_id)
        except NotFound:
            return None
        rules = documents.rules_of(study)
        load = studies.load(session, [study_id])[study_id]
        if role is None:
            is_wanted = scheduling.is_at_work(study, now=now) and load.running >= _CROWD
        else:
            is_wanted = scheduling.may_hand_out(study, load, now=now) and not (
                load.waiting and deployments.comes_first(session, study, rules.spec, role)
            )
        if not is_wanted or not budget.may_draw(study, rules):
            return None
        with searches.of(session, study, rules) as search:
            may_go_on = load.paused and role is not None and role.trains
            if may_go_on and search.promotion(closing=False):
                return None
            return _Need(
                search, study.trial_count, search.revision, is_prefetch or load.running == 0
            )
