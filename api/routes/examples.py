"""Validation images and what trials make of them: sheets with what lies where on each."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.deps import Cursor, Db, Limit, StudyRef, TrialNumber
from tuner.service import examples
from tuner.service.trial_lists import TrialSelection
from tuner.spec.example_views import StudyExamples, TrialExamples
from tuner.spec.filters import MOST_CHARACTERS
from tuner.spec.states import TrialState

router = APIRouter(prefix="/studies/{study}", tags=["examples"])


class ExampleQuery(BaseModel):
    """Order, filter and page of trials with their images."""

    sort: str = Field(
        default="number",
        max_length=200,
        description="What a list of trials can be sorted by; or image.3, the score of the image at "
        "place 3 of the validation split",
    )
    descending: bool = False
    state: TrialState | None = None
    filter: str = Field(
        default="", max_length=MOST_CHARACTERS, description="As for a list of trials"
    )
    cursor: Cursor = None
    limit: Limit = 20


@router.get("/examples")
def list_examples(
    db: Db, study: StudyRef, query: Annotated[ExampleQuery, Query()]
) -> StudyExamples:
    """The same validation images across trials: each trial with its last predictions."""
    return examples.of_study(db, study, TrialSelection(**query.model_dump()))


@router.get("/trials/{number}/examples")
def get_examples(db: Db, study: StudyRef, number: TrialNumber) -> TrialExamples:
    """A trial's validation images: photos, labels, and the predictions that are kept, by step."""
    return examples.of_trial(db, study, number)
