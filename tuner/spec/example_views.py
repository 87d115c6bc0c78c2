"""What is shown of a study's validation images, and of what its trials make of them."""

from pydantic import Field

from tuner.spec.config import Section
from tuner.spec.examples import SheetDetails
from tuner.spec.views import TrialSummary


class Sheet(SheetDetails):
    """A stored sheet; its file is that of the artifact `id`."""

    id: int
    sha256: str
    step: int | None = None


class ClassColour(Section):
    """A class and its colour in every image."""

    name: str
    colour: str = Field(description="As in CSS: #rrggbb")


class TrialExamples(Section):
    """A trial's sheets; `predictions` are those that are kept, by step."""

    study_id: int
    study: str
    trial: int
    classes: tuple[ClassColour, ...]
    photos: Sheet | None = None
    truth: Sheet | None = None
    predictions: tuple[Sheet, ...] = ()
    value_step: int | None = Field(
        default=None, description="The epoch that the trial's value and model are of"
    )


class ExampleRow(Section):
    """A trial and its last sheet up to the epoch that counts, if it has one."""

    trial: TrialSummary
    predictions: Sheet | None = None


class StudyExamples(Section):
    """The same images across trials; `next` is the cursor of the following page."""

    study_id: int
    study: str
    classes: tuple[ClassColour, ...]
    photos: Sheet | None = None
    truth: Sheet | None = None
    rows: tuple[ExampleRow, ...]
    next: str | None = None
    total: int
