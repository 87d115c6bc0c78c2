"""The same validation images across trials: rows are trials, columns are images."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from urllib.parse import urlencode

from api.dashboard import facts
from api.dashboard.masks_panel import Crop, crop
from tuner.service.details import study_images
from tuner.service.examples import BY_IMAGE
from tuner.service.storage import Database
from tuner.service.trial_lists import TrialSelection
from tuner.spec.example_views import ClassColour, ExampleRow, Sheet, StudyExamples
from tuner.spec.examples import Example
from tuner.spec.metrics import SUMMARIES
from tuner.spec.space import same
from tuner.spec.states import TrialState
from tuner.spec.study import Objective
from tuner.spec.views import StudyView, TrialSummary
from tuner.wording import short_paths

ROWS = 12
OPACITY = 60
Show = Literal["predictions", "errors"]


@dataclass(frozen=True, slots=True)
class ImagesQuery:
    """Order, filter and page of the rows, and how they are painted; opacity is in percent.

    Without a `sort` the rows are those of the best value first.
    """

    sort: str = ""
    descending: bool = True
    state: TrialState | None = None
    filter: str = ""
    cursor: str | None = None
    skipped: int = 0
    opacity: int = OPACITY
    show: Show = "predictions"

    @property
    def text(self) -> str:
        """The query string that asks for this, empty for the defaults."""
        usual = ImagesQuery()
        parts: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != getattr(usual, field.name):
                parts[field.name] = int(value) if isinstance(value, bool) else value
        return f"?{urlencode(parts)}" if parts else ""

    def sorted_by(self, key: str) -> "ImagesQuery":
        """The first page by this key, the highest first; a second click turns it round."""
        turned = not self.descending if key == self.sort else True
        return replace(self, sort=key, descending=turned, cursor=None, skipped=0)

    def following(self, cursor: str, shown: int) -> "ImagesQuery":
        """The page after this one."""
        return replace(self, cursor=cursor, skipped=self.skipped + shown)

    def first(self) -> "ImagesQuery":
        """The first page of the same list."""
        return replace(self, cursor=None, skipped=0)

    def direction(self, key: str) -> str:
        """How this key is sorted, in the words of `aria-sort`."""
        if key != self.sort:
            return "none"
        return "descending" if self.descending else "ascending"


@dataclass(frozen=True, slots=True)
class Column:
    """One image, and its photo and labels."""

    image: Example
    photo: Crop | None
    truth: Crop | None


@dataclass(frozen=True, slots=True)
class ImageCell:
    """What a trial made of an image; `score` is None where it was not scored."""

    index: int
    crop: Crop | None
    score: float | None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A trial, the params in which it differs from others shown, and a cell for each image.

    `value` is what the trials are ranked by.
    """

    trial: TrialSummary
    value: float | None
    sheet: Sheet | None
    params: tuple[tuple[str, Any], ...]
    cells: tuple[ImageCell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Images across trials; `columns` is empty while no trial has any."""

    columns: tuple[Column, ...]
    rows: tuple[ImageRow, ...]
    truth: Sheet | None
    classes: tuple[ClassColour, ...]


@dataclass(frozen=True, slots=True)
class ImagesPage:
    """Context of the templates `images/page.html` and `images/live.html`."""

    study: StudyView
    objective: Objective
    grid: Grid
    query: ImagesQuery
    sorts: tuple[str, ...]
    total: int
    next: ImagesQuery | None
    first: ImagesQuery | None
    live: str
    events: str


def images_page(db: Database, study: int | str, asked: ImagesQuery) -> ImagesPage:
    """The page of a study's images. Raises NotFound, InvalidInput (sort key, filter, cursor)."""
    selection = TrialSelection(
        asked.sort, asked.descending, asked.state, asked.cursor, ROWS, asked.filter
    )
    found = study_images(db, study, selection)
    view, page = found.study, found.examples
    query = asked
    if not asked.sort:
        is_descending = view.objective.direction == "maximize"
        query = replace(asked, sort="value", descending=is_descending)
    return ImagesPage(
        study=view,
        objective=view.objective,
        grid=images_grid(view, page),
        query=query,
        sorts=_sorts(view, query),
        total=page.total,
        next=query.following(page.next, len(page.rows)) if page.next else None,
        first=query.first() if query.cursor else None,
        live=f"/partials/studies/{view.id}/images{asked.text}",
        events=facts.events_address(view),
    )


def images_grid(view: StudyView, found: StudyExamples, by: str = "") -> Grid:
    """The grid of a page of trials, each with its value of the metric `by` if that is given."""
    sheets = [row.predictions for row in found.rows if row.predictions is not None]
    known = next(iter([*filter(None, (found.truth, found.photos)), *sheets]), None)
    images = known.images if known is not None else ()
    paths = _differing(view, found.rows)
    return Grid(
        columns=tuple(
            Column(image, crop(image, found.photos), crop(image, found.truth)) for image in images
        ),
        rows=tuple(
            replace(
                _row(row, found, images, paths),
                value=row.trial.metrics.get(by) if by else row.trial.value,
            )
            for row in found.rows
        ),
        truth=found.truth,
        classes=found.classes,
    )


def _row(
    row: ExampleRow, found: StudyExamples, images: Sequence[Example], paths: Sequence[str]
) -> ImageRow:
    params = short_paths(tuple(paths))
    scores = (
        {image.index: image.miou for image in row.predictions.images} if row.predictions else {}
    )
    return ImageRow(
        trial=row.trial,
        value=row.trial.value,
        sheet=row.predictions,
        params=tuple(
            (params[path], row.trial.params[path]) for path in paths if path in row.trial.params
        ),
        cells=tuple(
            ImageCell(
                image.index,
                crop(image, found.photos, row.predictions) if row.predictions else None,
                scores.get(image.index),
            )
            for image in images
        ),
    )


def _differing(view: StudyView, rows: Sequence[ExampleRow]) -> tuple[str, ...]:
    """Searched paths in which the trials shown differ; all where there is one."""
    paths = tuple(view.spec.space.root)
    if len(rows) < 2:
        return paths
    first = rows[0].trial.params
    return tuple(
        path
        for path in paths
        if any(not same(row.trial.params.get(path), first.get(path)) for row in rows)
    )


def _sorts(view: StudyView, query: ImagesQuery) -> tuple[str, ...]:
    """What the rows can be sorted by, beside the images."""
    classes = [f"iou.{name}" for name in view.spec.dataset.classes]
    offered = ["value", "number", *SUMMARIES, *classes]
    is_other = query.sort not in offered and not query.sort.startswith(BY_IMAGE)
    return tuple([query.sort, *offered] if is_other else offered)
