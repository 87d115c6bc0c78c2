"""Tokens of a server, for its admin: the client's `tokens`."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tuner.client import requests
from tuner.client.connection import RestConnection
from tuner.spec.access import (
    DeedView,
    NewToken,
    RotationRequest,
    TokenRequest,
    TokenScope,
    TokenView,
)
from tuner.spec.views import Page


class Tokens:
    """Makes, lists, rotates and revokes tokens; each call needs the scope `admin`."""

    def __init__(self, connection: RestConnection) -> None:
        self._connection = connection

    def everyone(self) -> tuple[TokenView, ...]:
        """Every token, the oldest first."""
        return self._connection.list(tuple[TokenView, ...], "tokens")

    def create(
        self,
        name: str,
        scopes: Iterable[TokenScope | str],
        *,
        owner: str | None = None,
        days: float | None = None,
    ) -> NewToken:
        """Make a token; its `secret` is given this once."""
        asked = {"name": name, "scopes": tuple(scopes), "owner": owner, "days": days}
        request = TokenRequest.model_validate(asked)
        return self._connection.get(NewToken, "POST", "tokens", **requests.body(request))

    def rotate(
        self, name: str, *, overlap_hours: float = 24, days: float | None = None
    ) -> NewToken:
        """Give a token a new secret; the old one stays good for the overlap."""
        body = requests.body(RotationRequest(overlap_hours=overlap_hours, days=days))
        return self._connection.get(NewToken, "POST", f"{_path(name)}/rotate", **body)

    def revoke(self, name: str) -> TokenView:
        """Let nobody in with a token any more."""
        return self._connection.get(TokenView, "POST", f"{_path(name)}/revoke")

    def audit(self, study: int | None = None) -> Iterator[DeedView]:
        """What callers did, the last first, to the study of an id or to all; page by page."""
        query = requests.given({"study": study})
        return self._connection.pages(Page[DeedView], "audit", query)


def _path(name: str) -> str:
    return f"tokens/{quote(name, safe='')}"
