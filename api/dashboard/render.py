"""Templates to responses: one Jinja environment, one set of security headers, one error page."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: it would turn the Origin of our own forms into `null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC_TYPES: Mapping[str, str] = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
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
            is_logged_in=COOKIE in request.cookies,
            **{each.name: getattr(context, each.name) for each in fields(context)},
        )
    )
    return HTMLResponse(body, status_code=status, headers=dict(HEADERS))


def static(name: str) -> Response | None:
    """A style sheet, script or image, or None; its address changes with its content."""
    if name not in STATIC_TYPES:
        return None
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_content(name), media_type=STATIC_TYPES[name], headers=headers)


def asset(name: str) -> str:
    """Path of a static file, without the prefix below which all is served."""
    return f"/static/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"


@cache
def _content(name: str) -> bytes:
    return (FOLDER / "static" / name).read_bytes()


@cache
def environment() -> Environment:
    """The templates with their filters and what all of them may say."""
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = "number setting measure metric gain percent quantity duration ago savings titled"
    found.filters.update({name: getattr(wording, name) for name in shared.split()})
    own = "absolute size pretty flatten"
    found.filters.update({name: getattr(fmt, name) for name in own.split()})
    found.globals.update(asset=asset, bar=draw_bar, stack=draw_stack)
    found.globals.update(event_kinds=" ".join(EventKind))
    return found
