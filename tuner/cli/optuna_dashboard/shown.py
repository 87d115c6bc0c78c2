"""optuna-dashboard as a WSGI application that opens at one study and changes nothing."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from api.security import is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_READ_ONLY = (
    "optuna-dashboard only reads here: segtune's own dashboard and API change its studies, and "
    "`optuna.copy_study` gives Optuna a copy of its own"
)
_STRANGE_NAME = (
    "this server is known as localhost or 127.0.0.1 only, so that no web page elsewhere can read "
    "it through a name of its own"
)


class StudyShown:
    """Sends `/` to the study's page, refuses what would write, and passes the rest on.

    Optuna's dashboard would call the storage, which refuses too, and answer "internal server
    error". Without a token a page in a browser could reach a loopback server by a name that
    resolves to it (DNS rebinding); the Host header tells it apart.
    """

    def __init__(self, app: "WSGIApplication", *, page: str, only_loopback: bool) -> None:
        self.page = page
        self._app = app
        self._only_loopback = only_loopback

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        if self._only_loopback and not is_loopback(_name(environ.get("HTTP_HOST", ""))):
            return _refuse("421 Misdirected Request", _STRANGE_NAME, start_response)
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            # Not 409: its page takes that for another note than the one it knows.
            return _refuse("403 Forbidden", _READ_ONLY, start_response)
        if environ.get("PATH_INFO", "") in {"", "/"}:
            start_response("302 Found", [("Location", self.page), ("Content-Length", "0")])
            return []
        return self._app(environ, start_response)


def _refuse(status: str, reason: str, start_response: "StartResponse") -> Iterable[bytes]:
    """A problem in the form that optuna-dashboard's own API has."""
    body = json.dumps({"reason": reason}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
