"""The dashboard's routes: a page reads views and renders a template; its partial renders the core.

`api.security` decides before who may come in: host, origin of forms, and the token.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Fields, Table
from api.dashboard.forms import local_path
from api.dashboard.importance_panel import importance_panel
from api.dashboard.study_list import study_list
from api.dashboard.study_page import study_page
from api.dashboard.trial_page import trial_page
from api.deps import App, Cursor, Db, StudyRef, TrialNumber
from api.errors import ProblemBody
from api.prefix import prefix_of
from api.security import COOKIE, token_matches
from tuner.errors import NotFound
from tuner.service import overview, studies
from tuner.service.importance import Method
from tuner.spec.states import StudyState
from tuner.spec.views import StudyChange, WorkerView

router = APIRouter(include_in_schema=False)
_STATES: dict[str, Literal["running", "paused", "cancelled"]] = {
    "resume": "running",
    "pause": "paused",
    "cancel": "cancelled",
}


@dataclass(frozen=True, slots=True)
class WorkersPage:
    """Context of the templates `workers.html` and `workers_live.html`."""

    workers: tuple[WorkerView, ...]
    server: str


@dataclass(frozen=True, slots=True)
class LoginPage:
    """Context of the template `login.html`."""

    target: str
    wrong: bool


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Context of the template `error.html`."""

    problem: ProblemBody


@router.get("/")
def list_studies(
    request: Request, db: Db, *, state: StudyState | None = None, cursor: Cursor = None
) -> Response:
    """The list of studies, newest first."""
    return render.page(request, "studies.html", study_list(db, state, cursor))


@router.get("/partials/studies")
def list_studies_live(
    request: Request, db: Db, *, state: StudyState | None = None, cursor: Cursor = None
) -> Response:
    """What changes on the list of studies."""
    return render.page(request, "studies_live.html", study_list(db, state, cursor))


@router.get("/studies/{study}")
def show_study(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """One study."""
    return render.page(request, "study.html", study_page(db, study, query))


@router.get("/partials/studies/{study}")
def show_study_live(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """What changes on the page of a study."""
    return render.page(request, "study_live.html", study_page(db, study, query))


@router.get("/partials/studies/{study}/importance")
def show_importance(
    request: Request,
    app: App,
    study: StudyRef,
    method: Method = "ped_anova",
) -> Response:
    """Which params mattered, for the page of a study to add when it is there."""
    context = importance_panel(app.db, app.importance, study, method)
    return render.page(request, "importance.html", context)


@router.get("/studies/{study}/trials/{number}")
def show_trial(request: Request, db: Db, study: StudyRef, number: TrialNumber) -> Response:
    """One trial."""
    return render.page(request, "trial.html", trial_page(db, study, number))


@router.get("/partials/studies/{study}/trials/{number}")
def show_trial_live(request: Request, db: Db, study: StudyRef, number: TrialNumber) -> Response:
    """What changes on the page of a trial."""
    return render.page(request, "trial_live.html", trial_page(db, study, number))


@router.get("/workers")
def list_workers(request: Request, db: Db) -> Response:
    """The fleet."""
    return render.page(request, "workers.html", _workers(request, db))


@router.get("/partials/workers")
def list_workers_live(request: Request, db: Db) -> Response:
    """What changes on the page of the fleet."""
    return render.page(request, "workers_live.html", _workers(request, db))


@router.post("/studies/{study}/{action}")
def change_study(
    app: App, study: StudyRef, action: Literal["pause", "resume", "cancel"]
) -> Response:
    """Pause, resume or cancel a study, and go back to its page."""
    view = studies.change(app.db, study, StudyChange(state=_STATES[action]))
    app.notify()
    return RedirectResponse(f"/studies/{view.id}", 303)


@router.get("/login")
def show_login(request: Request, *, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form that asks for the server's token."""
    return render.page(request, "login.html", LoginPage(local_path(next_), wrong=False))


@router.post("/login")
def log_in(request: Request, app: App, fields: Fields) -> Response:
    """Keep a right token in a cookie that scripts and other sites cannot use."""
    target, token = local_path(fields.get("next")), fields.get("token", "")
    if not token_matches(app.settings, token):
        return render.page(request, "login.html", LoginPage(target, wrong=True), status=403)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=30 * 86_400,
        httponly=True,
        samesite="strict",
        path=prefix_of(request) or "/",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Forget the token."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path=prefix_of(request) or "/", httponly=True, samesite="strict")
    return answer


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A style sheet, script or image. Raises NotFound."""
    found = render.static(name)
    if found is None:
        raise NotFound(f"no static file is called '{name}'")
    return found


def error_page(request: Request, problem: ProblemBody) -> Response:
    """A problem as a page in the dashboard's design."""
    return render.page(request, "error.html", ErrorPage(problem), status=problem.status)


def _address(request: Request) -> str:
    return str(request.base_url).rstrip("/") + prefix_of(request)


def _workers(request: Request, db: Db) -> WorkersPage:
    return WorkersPage(overview.workers(db), server=_address(request))
