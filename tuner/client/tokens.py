"""What an admin decides at a server: tokens, and what holds the fleet back."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tuner.client import requests
from tuner.client.connection import RestConnection
from tuner.spec.access import (
    DeedView,
    MaintenanceRequest,
    MaintenanceView,
    NewToken,
    OwnerChange,
    OwnerView,
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
        request = requests.valid(
            TokenRequest, name=name, scopes=tuple(scopes), owner=owner, days=days
        )
        return self._connection.get(NewToken, "POST", "tokens", **requests.body(request))

    def rotate(
        self, name: str, *, overlap_hours: float = 24, days: float | None = None
    ) -> NewToken:
        """Give a token a new secret; the old one stays good for the overlap."""
        request = requests.valid(RotationRequest, overlap_hours=overlap_hours, days=days)
        path = f"{_path(name)}/rotate"
        return self._connection.get(NewToken, "POST", path, **requests.body(request))

    def revoke(self, name: str) -> TokenView:
        """Let nobody in with a token any more."""
        return self._connection.get(TokenView, "POST", f"{_path(name)}/revoke")

    def owners(self) -> tuple[OwnerView, ...]:
        """Everyone who owns a study or has a limit, with the device hours that they have spent."""
        return self._connection.list(tuple[OwnerView, ...], "owners")

    def limit_owner(self, owner: str, hours: float | None) -> OwnerView:
        """Let an owner's studies train so many device hours; None: as many as they like."""
        body = requests.body(requests.valid(OwnerChange, hours=hours), keep_null=True)
        return self._connection.get(OwnerView, "PUT", f"owners/{quote(owner, safe='')}", **body)

    def maintenance(self) -> MaintenanceView:
        """Whether trials are given out."""
        return self._connection.get(MaintenanceView, "GET", "maintenance")

    def begin_maintenance(self, reason: str = "") -> MaintenanceView:
        """Give out no trial any more; what runs goes on."""
        body = requests.body(requests.valid(MaintenanceRequest, reason=reason))
        return self._connection.get(MaintenanceView, "PUT", "maintenance", **body)

    def end_maintenance(self) -> MaintenanceView:
        """Give out trials again."""
        return self._connection.get(MaintenanceView, "DELETE", "maintenance")

    def audit(self, study: int | None = None) -> Iterator[DeedView]:
        """What callers did, the last first, to the study of an id or to all; page by page."""
        query = requests.given({"study": study})
        return self._connection.pages(Page[DeedView], "audit", query)


def _path(name: str) -> str:
    return f"tokens/{quote(name, safe='')}"
