"""Trials as a search sees them: a few columns of those that changed, without the ORM."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.store import statements as sql
from tuner.store.held import Seen
from tuner.store.pipeline import Query
from tuner.store.tables import Study


class Since(NamedTuple):
    """What a search asks for: trials that changed after an event of their study, with metrics.

    The first metric is the first objective; `steps` are those of interest, None is all. With
    `counts_best` each step has the metrics of the one that counted then.
    """

    revision: int
    metrics: tuple[str, ...]
    steps: frozenset[int] | None
    counts_best: bool = False


class History(NamedTuple):
    """Trials whose state changed, by number, and their metrics by number and step."""

    after: int  # the last event of the study that it leaves out
    upto: int  # the last one that is in it
    trials: Sequence[Seen]
    steps: dict[int, dict[int, tuple[float, ...]]]


def queries(study_id: int, since: Since) -> tuple[Query, Query]:
    """The reads of which a history is made."""
    asked = {"study": study_id, "since": since.revision}
    steps = sql.steps_seen(
        since.metrics, are_chosen=since.steps is not None, counts_best=since.counts_best
    )
    chosen = {} if since.steps is None else {"steps": sorted(since.steps)}
    return Query(sql.SEEN, asked), Query(steps, {**asked, **chosen})


def history(
    study: Study, since: Since, trials: Iterable[Sequence[Any]], steps: Iterable[Sequence[Any]]
) -> History:
    """The history that the rows of the two reads make.

    A step at which a metric is not a finite number is left out: not every database can hold it.
    """
    found: dict[int, dict[int, tuple[float, ...]]] = {}
    for number, step, *values in steps:
        if all(value is not None and isfinite(value) for value in values):
            found.setdefault(number, {})[step] = tuple(values)
    return History(since.revision, study.event_seq, [Seen(*row) for row in trials], found)


def changed(session: Session, study: Study, since: Since) -> History:
    """What changed of a study, as the session's transaction sees it."""
    trials, steps = (
        session.execute(query.statement, query.values) for query in queries(study.id, since)
    )
    return history(study, since, trials, steps)
