"""Log in and out, choose a language; and the page that a problem gets."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api import scopes
from api.dashboard import render, words
from api.dashboard.deps import Fields
from api.dashboard.forms import local_path
from api.deps import App, AppState
from api.errors import ProblemBody
from api.prefix import prefix_of
from api.referrals import home_of
from api.security import ANYONE, COOKIE, OPERATOR, caller_of
from tuner.service import logins, study_lists
from tuner.service.study_lists import DeletedStudy

router = APIRouter()
_STUDY = re.compile(r"/studies/([^/]{1,100})(?=/|$)")
_YEAR = 365 * 86_400
_LASTS = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LoginPage:
    """Context of the template `login.html`."""

    target: str
    wrong: bool


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Context of the template `error.html`."""

    problem: ProblemBody
    back: str = "/"  # the page that the address belongs to; the list of studies for none
    restorable: DeletedStudy | None = None


@router.get("/login")
def show_login(request: Request, *, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form that asks for the server's token."""
    return render.page(request, "login.html", LoginPage(local_path(next_), wrong=False))


@router.post("/login")
async def log_in(request: Request, app: App, fields: Fields) -> Response:
    """Let a browser in whose user knows a token that may read.

    Its cookie is out of reach for scripts and other sites, and holds nothing of the token.
    """
    target, token = local_path(fields.get("next")), fields.get("token", "").strip()
    caller = await caller_of(token, app.settings, app.tokens)
    if caller is None or not caller.may(scopes.READ):
        return render.page(request, "login.html", LoginPage(target, wrong=True), status=403)
    answer = RedirectResponse(target, 303)
    if caller is not ANYONE:
        begin = partial(logins.begin, is_servers=caller is OPERATOR, lasts=_LASTS)
        cookie = await run_in_threadpool(begin, app.db, token)
        _remember(request, answer, COOKIE, cookie, seconds=int(_LASTS.total_seconds()))
    return answer


@router.post("/logout")
def log_out(request: Request, app: App) -> Response:
    """Let the browser in no more, nor anyone who has copied its cookie."""
    if cookie := request.cookies.get(COOKIE):
        app.tokens.log_out(cookie)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path=prefix_of(request) or "/", httponly=True, samesite="strict")
    return answer


@router.post("/language")
def choose_language(request: Request, fields: Fields) -> Response:
    """Show all pages in a language from now on, whatever the browser asks for."""
    answer = RedirectResponse(local_path(fields.get("next")), 303)
    chosen = fields.get("language", "")
    if chosen in words.LANGUAGES:
        _remember(request, answer, words.COOKIE, chosen, seconds=_YEAR)
    return answer


def error_page(request: Request, problem: ProblemBody) -> Response:
    """A problem as a page in the dashboard's design, with a way out of it."""
    missing = problem.status == 404
    back = "/" if missing else home_of(request)
    found = _deleted(request) if missing else None
    return render.page(
        request, "error.html", ErrorPage(problem, back, found), status=problem.status
    )


def _deleted(request: Request) -> DeletedStudy | None:
    """The study of an address, if it was deleted and can be restored."""
    named = _STUDY.match(request.scope["path"])
    opened: AppState | None = getattr(request.app.state, "opened", None)
    return study_lists.find_deleted(opened.db, named[1]) if named and opened else None


def _remember(request: Request, answer: Response, name: str, value: str, *, seconds: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        path=prefix_of(request) or "/",
        secure=request.url.scheme == "https",
    )
