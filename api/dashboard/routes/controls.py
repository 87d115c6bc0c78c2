"""What can be done with a study: pause, resume, cancel, delete it, change its budget and place."""

from collections.abc import Mapping

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from api.dashboard.deps import Fields
from api.dashboard.forms import local_path
from api.deps import App, AppState, StudyRef
from tuner.service import studies
from tuner.spec.validation import invalid
from tuner.spec.views import StudyChange

router = APIRouter()
_LIMITS = ("max_hours", "max_wall_hours")  # may be left empty: then there is none
_NUMBERS = ("trials", "parallel", "priority", "weight", *_LIMITS)


@router.post("/studies/{study}/pause")
def pause_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Give out no new trials; running ones hand in their checkpoints."""
    return _changed(app, study, StudyChange(state="paused"), fields)


@router.post("/studies/{study}/resume")
def resume_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Let a paused study go on."""
    return _changed(app, study, StudyChange(state="running"), fields)


@router.post("/studies/{study}/cancel")
def cancel_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """End a study for good."""
    return _changed(app, study, StudyChange(state="cancelled"), fields)


@router.post("/studies/{study}/change")
def change_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Change budget, priority or weight, as far as the form says something else than it said."""
    return _changed(app, study, _change(fields), fields)


@router.post("/studies/{study}/delete")
def delete_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Delete a study, with `cancel` also while trials run; the list that follows can undo it."""
    studies.delete(app.db, study, cancel=fields.get("cancel") == "1")
    app.notify()
    return RedirectResponse(local_path(fields.get("next")), 303)


def _changed(app: AppState, study: str, change: StudyChange, fields: Mapping[str, str]) -> Response:
    view = studies.change(app.db, study, change)
    app.notify()
    target = fields.get("next")
    return RedirectResponse(local_path(target) if target else f"/studies/{view.id}", 303)


def _change(fields: Mapping[str, str]) -> StudyChange:
    """What a form changes: what it says beside what it said. Raises InvalidSpec."""
    wanted: dict[str, str | None] = {}
    for name in _NUMBERS:
        said = fields.get(name, "").strip()
        if name not in fields or said == fields.get(f"was-{name}"):
            continue
        wanted[name] = None if name in _LIMITS and not said else said
    try:
        return StudyChange.model_validate(wanted)
    except ValidationError as error:
        raise invalid(error, StudyChange) from None
