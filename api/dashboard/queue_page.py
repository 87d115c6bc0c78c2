"""All that the page of the queue shows: the service's entries, in the reader's words."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.dashboard.words import gettext as _
from api.dashboard.words import ngettext
from tuner.service.queue import queue
from tuner.service.storage import Database
from tuner.spec.fleet import QueueEntry, Why

_STEP = 10  # of a priority, from one press of a button to the next
_NAMED = 3


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A study in the queue; `raised` and `lowered` are its priority after a press of a button."""

    entry: QueueEntry
    reason: str
    raised: int
    lowered: int


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Context of the templates `queue/page.html` and `queue/live.html`."""

    rows: tuple[QueueRow, ...]
    workers: int
    free: int


def queue_page(db: Database) -> QueuePage:
    """The page of the queue."""
    found = queue(db)
    return QueuePage(
        rows=tuple(
            QueueRow(
                entry=entry,
                reason=reason(entry),
                raised=min(100, entry.priority + _STEP),
                lowered=max(0, entry.priority - _STEP),
            )
            for entry in found.entries
        ),
        workers=found.workers,
        free=len(found.free),
    )


def reason(entry: QueueEntry) -> str:
    """Why a study's next trial is not with a worker, in the reader's language."""
    names, first = _listed(entry.free), _listed(entry.behind)
    running, fitting = entry.running, len(entry.workers)
    busy = ngettext(
        "the only worker that fits is busy", "all %(count)s workers that fit are busy", fitting
    ) % {"count": fitting}
    comes = ngettext("%(studies)s comes first", "%(studies)s come first", len(entry.behind))
    comes %= {"studies": first}
    words = {
        Why.NEXT: ngettext(
            "%(workers)s is free and takes it next",
            "%(workers)s are free and take it next",
            len(entry.free),
        )
        % {"workers": names},
        Why.BEHIND: _("workers that fit are free, but %(what)s") % {"what": comes},
        Why.BUSY: _("%(busy)s, and %(what)s") % {"busy": busy, "what": comes}
        if entry.behind
        else busy,
        Why.PREEMPTING: ngettext(
            "%(count)s running trial of lower priority makes room for it at the next checkpoint",
            "%(count)s running trials of lower priority make room for it at the next checkpoint",
            entry.preempting,
        )
        % {"count": entry.preempting},
        Why.AT_RUNG: _(
            "all is drawn, and nothing that is paused may go on before others reach its rung"
        ),
        Why.PARALLEL: ngettext(
            "%(count)s trial of it runs, as many as its parallel allows",
            "%(count)s trials of it run, as many as its parallel allows",
            running,
        )
        % {"count": running},
        Why.DRAWN: ngettext(
            "all is drawn: it ends with %(count)s trial that runs",
            "all is drawn: it ends with %(count)s trials that run",
            running,
        )
        % {"count": running},
        Why.PAUSED: entry.detail or _("it is paused"),
    }
    return words.get(entry.why, entry.detail)


def _listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = _(", ").join(names[:_NAMED])
    rest = len(names) - _NAMED
    return (
        shown if rest <= 0 else _("%(names)s and %(count)s more") % {"names": shown, "count": rest}
    )
