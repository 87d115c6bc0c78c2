"""The page on which a study is written, checked at every keystroke, and submitted."""

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Begin, TextFields
from api.dashboard.new_page import begun, checked, checked_text
from api.deps import App, Db
from api.documents import read
from tuner.service import drafts
from tuner.service.drafts import Draft
from tuner.spec.documents import MAX_BYTES

router = APIRouter()


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
async def check_text(request: Request, app: App) -> Response:
    """What is to be said of a text: the body itself. One at a time, whoever writes."""
    text = (await read(request, 2 * MAX_BYTES["yaml"])).decode("utf-8", errors="replace")
    # Every corner of the space is tried: too long for the event loop.
    found = await to_thread.run_sync(drafts.check, app.db, text, limiter=app.checks)
    return render.page(request, "new/verdict.html", checked_text(found))
