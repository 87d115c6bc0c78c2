"""What pages say, in the reader's language: one catalog for templates, Python and scripts.

English is the key of a message and what it says where the catalog has nothing. The language is
chosen by hand (a cookie), or else by what the browser asks for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "segtune_language"
LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}  # as each calls itself
FOLDER = Path(__file__).parent / "locales"
# A language tag with its weight; a weight of 0 says that it is not wanted.
_WANTED = re.compile(r"\s*([A-Za-z0-9-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
_NAMES = "spoken.py"  # of states, sources and the like, which scripts look up as well
_language: ContextVar[str] = ContextVar("language", default="en")


def language() -> str:
    """The language of the page that is being made."""
    return _language.get()


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Make pages in this language meanwhile."""
    token = _language.set(chosen)
    try:
        yield
    finally:
        _language.reset(token)


def message(text: str) -> str:
    """Mark a message that is looked up elsewhere, by a name that holds it."""
    return text


def gettext(message: str) -> str:
    """The message in the page's language."""
    return _messages(language()).get(message, message)


def ngettext(one: str, many: str, count: float) -> str:
    """The message for one thing or for several, in the page's language."""
    english = one if count == 1 else many
    return _messages(language()).get(one, english)


def for_scripts() -> Mapping[str, str]:
    """The messages that scripts say, by their English; empty in English."""
    return _for_scripts(language())


def preferred(connection: HTTPConnection) -> str:
    """The language that a reader has chosen, or else the first that the browser asks for."""
    chosen = connection.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    asked = _by_weight(connection.headers.get("accept-language", ""))
    return negotiate_locale(asked, list(LANGUAGES), sep="-") or "en"


class PageLanguage:
    """Sets the language of every page for as long as it is being made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the API always speaks English."""
        if scope["type"] != "http" or scope["path"].startswith("/api/"):
            return await self._app(scope, receive, send)
        with speaking(preferred(HTTPConnection(scope))):
            return await self._app(scope, receive, send)


@cache
def catalog(chosen: str) -> Catalog | None:
    """The catalog of a language; None for English, which needs none."""
    path = FOLDER / f"{chosen}.po"
    if not path.exists():
        return None
    with path.open("rb") as file:
        return read_po(file, locale=chosen)


@cache
def _messages(chosen: str) -> Mapping[str, str]:
    """Of every message in the singular its translation: Chinese has one form for all counts."""
    found = catalog(chosen)
    return {} if found is None else {key: text for key, text, _ in _entries(found)}


@cache
def _for_scripts(chosen: str) -> Mapping[str, str]:
    found = catalog(chosen)
    return {} if found is None else {key: text for key, text, js in _entries(found) if js}


def _entries(found: Catalog) -> Iterator[tuple[str, str, bool]]:
    for message in found:
        key, text = _first(message.id), _first(message.string)
        if key and text:
            paths = [path for path, _ in message.locations]
            yield key, text, any(path.endswith(".js") or path == _NAMES for path in paths)


def _first(forms: str | Sequence[str] | None) -> str:
    """The only form of a message, or that for one thing."""
    return forms if isinstance(forms, str) else forms[0] if forms else ""


def _by_weight(header: str) -> list[str]:
    """Language tags of an Accept-Language header, the most wanted first."""
    weighted = []
    for part in header.split(",")[:20]:
        wanted = _WANTED.fullmatch(part)
        weight = float(wanted[2] or 1) if wanted else 0.0
        if wanted and weight:
            weighted.append((-weight, wanted[1].lower()))
    return [tag for _, tag in sorted(weighted, key=lambda each: each[0])]
