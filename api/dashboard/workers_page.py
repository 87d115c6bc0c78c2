"""All that the page of the fleet shows: read at one moment."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlencode

import tuner
from tuner.service.fleet import fleet_detail
from tuner.service.storage import Database
from tuner.spec.fleet import LostTrial, WorkerState, WorkerView


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A worker; `memory` is the used share of its device's, `is_other` that it runs a release
    which is not the server's.
    """

    worker: WorkerView
    progress: float | None
    memory: float | None
    is_other: bool


@dataclass(frozen=True, slots=True)
class WorkersPage:
    """Context of the templates `workers/page.html` and `workers/live.html`.

    `of` is the worker whose lost trials are shown, None for all; `later` leads to the next page.
    """

    rows: tuple[FleetRow, ...]
    counts: Mapping[str, int]
    pace: float
    lost: tuple[LostTrial, ...]
    of: str | None
    first: str | None
    later: str | None
    version: str
    server: str
    query: str


def workers_page(
    db: Database, *, worker: str | None, cursor: str | None, server: str
) -> WorkersPage:
    """The page of the fleet. Raises NotFound, InvalidInput."""
    found = fleet_detail(db, worker=worker, cursor=cursor)
    states = Counter(each.state for each in found.workers)
    following = found.lost.next
    return WorkersPage(
        # In a steady order: the page changes under its reader's eyes.
        rows=tuple(
            map(_row, sorted(found.workers, key=lambda one: (one.state == "gone", one.name)))
        ),
        counts={state: states[state] for state in get_args(WorkerState)},
        pace=sum(each.images_per_second or 0.0 for each in found.workers),
        lost=found.lost.items,
        of=worker,
        first=_query(worker, None) if cursor else None,
        later=_query(worker, following) if following else None,
        version=tuner.__version__,
        server=server,
        query=_query(worker, cursor),
    )


def _row(worker: WorkerView) -> FleetRow:
    usage = worker.usage
    return FleetRow(
        worker=worker,
        progress=_share(worker.step, worker.epochs),
        memory=_share(usage.memory_gb, usage.memory_total_gb) if usage else None,
        is_other=worker.version is not None and worker.version != tuner.__version__,
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)


def _query(worker: str | None, cursor: str | None) -> str:
    given = {name: value for name, value in (("worker", worker), ("cursor", cursor)) if value}
    return f"?{urlencode(given)}" if given else ""
