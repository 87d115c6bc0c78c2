"""The whole table of trials as CSV or JSON, filtered and sorted, a few hundred trials at a time.

Which trials, in which order, is settled at the start; each part is then read by itself, so that a
slow reader holds neither a transaction nor much memory.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.service import documents, trial_lists
from tuner.service.trial_lists import TrialSelection
from tuner.spec.study import StudySpec
from tuner.spec.views import TrialSummary
from tuner.store import deletion, studies, trial_cells
from tuner.store.engine import Database

_PART = 500
FACTS = (
    "number",
    "state",
    "source",
    "value",
    "value_step",
    "best_value",
    "step",
    "epochs",
    "feasible",
    "attempts",
    "worker",
    "seconds",
    "created_at",
    "started_at",
    "finished_at",
    "reason",
    "error_kind",
    "error",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would run


@dataclass(frozen=True, slots=True)
class Download:
    """The trials of a table in its order, with the params and metrics that any of them has."""

    id: int
    study: str
    spec: StudySpec
    ids: tuple[int, ...]
    params: tuple[str, ...]
    metrics: tuple[str, ...]


def plan(db: Database, study: int | str, selection: TrialSelection) -> Download:
    """Settle what a download holds. Raises NotFound, InvalidInput (sort key, filter, metric)."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        spec = documents.spec_of(row)
        wanted = trial_lists.placed(session, row, spec, selection)
        params, metrics = trial_cells.keys(session, row.id)
        return Download(
            id=row.id,
            study=row.name,
            spec=spec,
            ids=tuple(one.id for one in wanted),
            params=tuple(dict.fromkeys((*spec.space.root, *sorted(params)))),
            metrics=tuple(dict.fromkeys((*sorted(metrics), *selection.metrics))),
        )


def as_csv(db: Database, download: Download) -> Iterator[str]:
    """Lines of RFC 4180, a part at a time; the first one names the columns.

    A text that a spreadsheet would take for a formula begins with an apostrophe. A last line says
    so where the study was removed meanwhile.
    """
    params = [f"params.{path}" for path in download.params]
    metrics = [f"metrics.{name}" for name in download.metrics]
    yield _line([_guarded(name) for name in (*FACTS, *params, *metrics)])
    for trials in _parts(db, download):
        if trials is None:
            yield _line([_gone(download)])
            return
        yield "".join(_line(_cells(trial, download)) for trial in trials)


def as_json(db: Database, download: Download) -> Iterator[str]:
    """An array of trials as the API lists them, one a line, each with all of its metrics.

    A last item says so, as its `error`, where the study was removed meanwhile.
    """
    before = "["
    for trials in _parts(db, download):
        if trials is None:
            yield f"{before}\n{json.dumps({'error': _gone(download)})}"
            before = ","
            break
        for trial in trials:
            yield f"{before}\n{trial.model_dump_json()}"
            before = ","
    yield "\n]\n" if before == "," else "[]\n"


def _gone(download: Download) -> str:
    return f"study '{download.study}' was deleted meanwhile: this file is not whole"


def _parts(db: Database, download: Download) -> Iterator[tuple[TrialSummary, ...] | None]:
    """Trials in order, also of a study that is hidden meanwhile; at last None if it is removed."""
    for start in range(0, len(download.ids), _PART):
        ids = download.ids[start : start + _PART]
        with db.snapshot() as session:
            row = deletion.look(session, download.id)
            part = (
                None
                if row is None
                else trial_lists.by_ids(session, row, download.spec, ids, download.metrics)
            )
        yield part
        if part is None:
            return


def _cells(trial: TrialSummary, download: Download) -> list[str]:
    found = [getattr(trial, name) for name in FACTS]
    found += [trial.params.get(path) for path in download.params]
    return [_cell(value) for value in (*found, *map(trial.metrics.get, download.metrics))]


def _cell(value: Any) -> str:
    """A value as a cell: numbers with all their digits, times in UTC, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return _guarded(value)
    return json.dumps(value) if isinstance(value, list | Mapping) else repr(value)


def _guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula; one that reads as a number is none."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
