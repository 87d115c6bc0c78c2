"""The page on which a study is written, checked at every keystroke, and submitted."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.dashboard import render
from api.dashboard.deps import TextFields
from api.dashboard.new_page import Start, begun, checked, verdict
from api.deps import App, Db
from api.documents import read
from tuner.service import drafts
from tuner.service.drafts import Draft
from tuner.spec.documents import MAX_BYTES

router = APIRouter()


# A coroutine, because FastAPI sends plain functions through its thread pool.
async def _start(
    *,
    clone: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = None,
    sample: Literal["camvid", "demo"] = "camvid",
    preset: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> Start:
    # A form sends an empty name for each section that is left as the sample has it.
    return Start(clone, sample, tuple(name for name in preset or () if name))


Begin = Annotated[Start, Depends(_start)]


@router.get("/new")
def show_editor(request: Request, db: Db, start: Begin) -> Response:
    """A text to begin from, with what it would do."""
    return render.page(request, "new/page.html", begun(db, start))


@router.post("/new")
def submit_text(request: Request, app: App, start: Begin, fields: TextFields) -> Response:
    """Queue the study and go to its page; or show the text again with what is to be corrected."""
    text = fields.get("text", "").replace("\r\n", "\n")
    if fields.get("deed") == "check":
        return render.page(request, "new/page.html", checked(drafts.check(app.db, text), start))
    found = drafts.submit(app.db, text)
    if isinstance(found, Draft):
        return render.page(request, "new/page.html", checked(found, start), status=422)
    app.notify()
    return RedirectResponse(f"/studies/{found.id}", 303)


@router.post("/partials/check")
async def check_text(request: Request, db: Db) -> Response:
    """What is to be said of a text: the body itself."""
    text = (await read(request, 2 * MAX_BYTES["yaml"])).decode("utf-8", errors="replace")
    # Every corner of the space is tried: too long for the event loop.
    found = await run_in_threadpool(drafts.check, db, text)
    return render.page(request, "new/verdict.html", verdict(found))
