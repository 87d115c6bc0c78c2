"""Validation images and what trials make of them: of one trial by step, of a study by trial."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from tuner.configs.colours import class_colours
from tuner.errors import InvalidInput, Problem
from tuner.service import cursors, documents, trial_lists
from tuner.service.trial_lists import TrialSelection
from tuner.spec.config import DatasetConfig
from tuner.spec.example_views import (
    ClassColour,
    ExampleRow,
    Sheet,
    StudyExamples,
    TrialExamples,
)
from tuner.spec.examples import SHEETS
from tuner.spec.kinds import ArtifactKind
from tuner.spec.study import StudySpec
from tuner.spec.views import Page, TrialSummary
from tuner.store import artifacts, studies, trial_pages, trials
from tuner.store import sheets as sheet_rows
from tuner.store.engine import Database
from tuner.store.tables import Artifact, Study

logger = logging.getLogger(__name__)
BY_IMAGE = "image."  # and the place of an image: to sort trials by its score


def of_trial(db: Database, study: int | str, number: int) -> TrialExamples:
    """A trial's sheets. Raises NotFound, Unreadable."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        return trial_examples(session, row, number)


def of_study(db: Database, study: int | str, selection: TrialSelection) -> StudyExamples:
    """Trials of a study in any order, each with its last sheet up to the epoch that counts.

    Beside what trials are sorted by, `image.3` sorts by the score of image 3 on that sheet.

    Raises:
        NotFound, Unreadable: of the study.
        InvalidInput: of the sort key, the filter or the cursor.
    """
    with db.snapshot() as session:
        row = studies.find(session, study)
        return study_examples(session, row, selection)


def trial_examples(session: Session, row: Study, number: int) -> TrialExamples:
    """The sheets of a trial that is read elsewhere in the same snapshot."""
    trial = trials.find(session, row, number)
    kinds = _by_kind(artifacts.list_for(session, trial.id, SHEETS))
    predictions = sorted(kinds[ArtifactKind.PREDICTIONS], key=lambda sheet: sheet.step or 0)
    return TrialExamples(
        study_id=row.id,
        study=row.name,
        trial=trial.number,
        classes=_classes(documents.config_of(trial).dataset),
        photos=_last(kinds[ArtifactKind.PHOTOS]),
        truth=_last(kinds[ArtifactKind.TRUTH]),
        predictions=tuple(predictions),
        value_step=trial.value_step or trial.step or None,
    )


def study_examples(session: Session, row: Study, selection: TrialSelection) -> StudyExamples:
    """The same for a study that is read elsewhere in the same snapshot."""
    spec = documents.spec_of(row)
    listed = _by_score if selection.sort.startswith(BY_IMAGE) else trial_lists.page
    page = listed(session, row, spec, selection)
    found = trial_pages.numbered(session, row.id, [one.number for one in page.items])
    sheets = sheet_rows.last_sheets(session, [trial.id for trial in found])
    kinds = _by_kind(sheets)
    last = {sheet.trial_id: sheet for sheet in sheets if sheet.kind == ArtifactKind.PREDICTIONS}
    by_number = {trial.number: last.get(trial.id) for trial in found}
    rows = [
        ExampleRow(trial=one, predictions=_sheet(by_number.get(one.number))) for one in page.items
    ]
    return StudyExamples(
        study_id=row.id,
        study=row.name,
        classes=_classes(spec.dataset),
        photos=_most_common(kinds[ArtifactKind.PHOTOS]),
        truth=_most_common(kinds[ArtifactKind.TRUTH]),
        rows=tuple(rows),
        next=page.next,
        total=page.total or 0,
    )


def _by_score(
    session: Session, row: Study, spec: StudySpec, selection: TrialSelection
) -> Page[TrialSummary]:
    """Trials by the score of one image; those without one come last."""
    index = selection.sort.removeprefix(BY_IMAGE)
    if not index.isdecimal() or len(index) > 9:
        message = f"'{selection.sort[:40]}' names no image; say image.3 for the one at place 3"
        raise InvalidInput([Problem(("sort",), message)])
    scores = _scores(sheet_rows.details_of_last(session, row.id), int(index))
    sign = -1.0 if selection.descending else 1.0

    def place(score: float | None, number: int) -> tuple[float, int]:
        return inf if score is None else sign * score, number

    selected = trial_lists.placed(session, row, spec, replace(selection, sort="number"))
    ordered = sorted(place(scores.get(one.number), one.number) for one in selected)
    start = (-inf, -1)
    if selection.cursor:
        start = place(*cursors.read(selection.cursor, [cursors.is_number, cursors.is_whole]))
    following = [number for at, number in ordered if (at, number) > start][: selection.limit + 1]
    shown = following[: selection.limit]
    more = len(following) > selection.limit
    found = trial_pages.numbered(session, row.id, shown)
    return Page(
        items=trial_lists.summaries_of(session, spec, found),
        next=cursors.write(scores.get(shown[-1]), shown[-1]) if more else None,
        total=len(ordered),
    )


def _scores(found: Mapping[int, Any], index: int) -> dict[int, float]:
    """The score of an image by trial, where its sheet has one that can be read."""
    scores = {}
    for number, details in found.items():
        images = details.get("images") if isinstance(details, dict) else None
        for image in images if isinstance(images, list) else ():
            if isinstance(image, dict) and image.get("index") == index:
                score = image.get("miou")
                if isinstance(score, int | float) and 0 <= score <= 1:
                    scores[number] = float(score)
    return scores


def _classes(dataset: DatasetConfig) -> tuple[ClassColour, ...]:
    return tuple(
        ClassColour(name=name, colour="#{:02x}{:02x}{:02x}".format(*colour))
        for name, colour in zip(dataset.classes, class_colours(dataset), strict=True)
    )


def _by_kind(rows: Sequence[Artifact]) -> dict[ArtifactKind, list[Sheet]]:
    kinds: dict[ArtifactKind, list[Sheet]] = {kind: [] for kind in SHEETS}
    for row in sorted(rows, key=lambda row: row.id):
        sheet = _sheet(row)
        if sheet is not None:
            kinds[ArtifactKind(row.kind)].append(sheet)
    return kinds


def _last(sheets: Sequence[Sheet]) -> Sheet | None:
    return sheets[-1] if sheets else None


def _most_common(sheets: Sequence[Sheet]) -> Sheet | None:
    """The sheet that most trials have the same of, among equals the oldest."""
    counts = Counter(sheet.sha256 for sheet in sheets)
    return max(sheets, key=lambda sheet: (counts[sheet.sha256], -sheet.id), default=None)


def _sheet(row: Artifact | None) -> Sheet | None:
    """A sheet, or None in place of one whose details this release cannot read."""
    if row is None:
        return None
    facts = {"id": row.id, "sha256": row.sha256, "step": row.step}
    try:
        return Sheet.model_validate({**(row.details or {}), **facts})
    except (ValidationError, TypeError) as error:
        logger.debug("sheet %s cannot be shown: %s", row.id, error)
        return None
