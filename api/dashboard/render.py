"""Templates to responses: one Jinja environment, one set of security headers, one error page."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.dashboard import assets, spoken, words
from api.dashboard import format as fmt
from api.dashboard.charts.bars import draw_bar, draw_stack
from api.prefix import prefix_of
from api.security import COOKIE
from tuner import wording
from tuner.spec.events import EventKind

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOLDER = Path(__file__).parent
THEMES = ("light", "dark")
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: it would turn the Origin of our own forms into `null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(
    request: Request, template: str, context: "DataclassInstance", *, status: int = 200
) -> HTMLResponse:
    """Render a template, which knows the context's fields by name.

    What every page has comes from here: `now`, the colour scheme, where it is served.
    """
    theme = request.cookies.get("segtune_theme", "")
    body = (
        environment()
        .get_template(template)
        .render(
            now=datetime.now(UTC),
            theme=theme if theme in THEMES else "auto",
            path=request.url.path,
            prefix=prefix_of(request),
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            language=words.language(),
            is_logged_in=COOKIE in request.cookies,
            **{each.name: getattr(context, each.name) for each in fields(context)},
        )
    )
    return HTMLResponse(body, status_code=status, headers=dict(HEADERS))


@cache
def environment() -> Environment:
    """The templates with their filters and what all of them may say."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = "measure metric gain percent"
    found.filters.update({name: getattr(wording, name) for name in shared.split()})
    said = "number setting quantity duration ago savings titled"
    found.filters.update({name: getattr(spoken, name) for name in said.split()})
    own = "absolute size pretty flatten"
    found.filters.update({name: getattr(fmt, name) for name in own.split()})
    found.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]  # the extension's
    found.globals.update(asset=assets.address, bar=draw_bar, stack=draw_stack)
    found.globals.update(languages=words.LANGUAGES, script_words=words.for_scripts)
    found.globals.update(event_kinds=" ".join(EventKind))
    return found
