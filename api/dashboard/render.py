"""Templates to responses: one Jinja environment, one set of security headers, one error page."""

import gzip
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.dashboard import assets, spoken, words
from api.dashboard import format as fmt
from api.dashboard.charts.bars import draw_bar, draw_stack
from api.prefix import prefix_of
from api.referrals import here
from api.security import COOKIE
from tuner import wording
from tuner.spec.events import EventKind

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOLDER = Path(__file__).parent
THEMES = ("light", "dark")
_SHORT, _LEVEL = (
    1_000,
    4,
)  # bytes that gain nothing; a fifth of the size for a hundredth of the work
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
) -> Response:
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
            here="" if request.url.path.startswith("/partials/") else here(request),
            language=words.language(),
            is_logged_in=COOKIE in request.cookies,
            **{each.name: getattr(context, each.name) for each in fields(context)},
        )
    )
    return respond(request, body.encode(), "text/html; charset=utf-8", status=status)


def respond(request: Request, body: bytes, media: str, *, status: int = 200) -> Response:
    """An answer with the headers of all pages, compressed where the browser takes it so."""
    headers = {**HEADERS, "Vary": "Accept-Encoding"}
    if len(body) >= _SHORT and takes_gzip(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status_code=status, headers=headers, media_type=media)


def takes_gzip(accepted: str) -> bool:
    """Whether a browser that sends this Accept-Encoding takes a compressed answer."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


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
