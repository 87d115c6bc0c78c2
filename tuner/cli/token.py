"""`segtune token`: who is let in, and for what; in the database, or at a server over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from tuner.cli.db import Url, database_url
from tuner.cli.options import TokenOption, connect

if TYPE_CHECKING:
    from tuner.spec.access import NewToken, TokenView

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a token.")]
RestOption = Annotated[
    str | None,
    typer.Option(help="Ask this server over HTTP, not the database.", show_default=False),
]
Days = Annotated[float | None, typer.Option(help="Until it expires.", show_default="never")]


class _Keeper(Protocol):
    """What keeps tokens: a database, or a server."""

    def everyone(self) -> "tuple[TokenView, ...]": ...

    def create(
        self, name: str, scopes: list[str], *, owner: str | None, days: float | None
    ) -> "NewToken": ...

    def rotate(self, name: str, *, overlap_hours: float, days: float | None) -> "NewToken": ...

    def revoke(self, name: str) -> "TokenView": ...


def create(  # noqa: PLR0913  # one argument for each option of the command
    name: NameArgument,
    *,
    scope: Annotated[list[str], typer.Option(help="read, submit, worker or admin; repeatable.")],
    owner: Annotated[str | None, typer.Option(help="Whose it is.", show_default="its name")] = None,
    days: Days = None,
    url: Url = None,
    server: RestOption = None,
    token: TokenOption = None,
) -> None:
    """Make a token and print its secret, which is kept nowhere."""
    with _keeper(url, server, token) as keeper:
        made = keeper.create(name, scope, owner=owner, days=days)
    _tell(made)


def list_tokens(url: Url = None, server: RestOption = None, token: TokenOption = None) -> None:
    """List tokens, revoked ones too, the oldest first."""
    from datetime import UTC, datetime

    from tuner.cli.show import tables

    with _keeper(url, server, token) as keeper:
        found = keeper.everyone()
    if not found:
        typer.echo("no token; make one with `segtune token create`")
        return
    tables.show(tables.tokens(found, datetime.now(UTC)))


def rotate(  # one argument for each option of the command
    name: NameArgument,
    overlap: Annotated[float, typer.Option(help="Hours for which the old secret stays good.")] = 24,
    days: Annotated[
        float | None, typer.Option(help="Until it expires.", show_default="as it was")
    ] = None,
    url: Url = None,
    server: RestOption = None,
    token: TokenOption = None,
) -> None:
    """Give a token a new secret and print it; the old one stays good for a while."""
    with _keeper(url, server, token) as keeper:
        made = keeper.rotate(name, overlap_hours=overlap, days=days)
    _tell(made)


def revoke(
    name: NameArgument, url: Url = None, server: RestOption = None, token: TokenOption = None
) -> None:
    """Let nobody in with a token any more."""
    with _keeper(url, server, token) as keeper:
        keeper.revoke(name)
    typer.echo(f"token {name} is revoked; servers refuse it within seconds")


def _tell(made: "NewToken") -> None:
    """Print the secret alone on standard output, so that a script can take it."""
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for ever"
    scopes = ", ".join(made.scopes)
    typer.echo(f"token {made.name} of {made.owner} ({scopes}) is good {until}", err=True)
    if made.overlap_until:
        typer.echo(
            f"its old secret is good until {made.overlap_until:%Y-%m-%d %H:%M} UTC", err=True
        )
    typer.echo("this secret is shown once, and kept nowhere:", err=True)
    typer.echo(made.secret)


@contextmanager
def _keeper(url: str | None, server: str | None, token: str | None) -> Iterator[_Keeper]:
    """What the command speaks to. Raises InvalidInput where both are named."""
    from tuner.errors import InvalidInput, Problem

    if server is None:
        with _database(url) as keeper:
            yield keeper
        return
    if url is not None:
        message = "--url and --server cannot both be given; name the database or the server"
        raise InvalidInput([Problem((), message)])
    with connect(server, token) as client, _explained():
        yield client.tokens


@contextmanager
def _database(url: str | None) -> Iterator[_Keeper]:
    from tuner.store import migrate
    from tuner.store.engine import Database

    where = database_url(url)
    migrate.upgrade(where)
    db = Database(where)
    try:
        with _explained():
            yield _Stored(db)
    finally:
        db.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    """Say what is wrong with a name, a scope or a number as of any other input."""
    from pydantic import ValidationError

    from tuner.errors import InvalidInput
    from tuner.spec.validation import problems

    try:
        yield
    except ValidationError as error:
        raise InvalidInput(problems(error.errors())) from None


class _Stored:
    """Tokens in a database that this machine reaches."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def everyone(self) -> "tuple[TokenView, ...]":
        from tuner.service import tokens

        return tokens.everyone(self._db)

    def create(
        self, name: str, scopes: list[str], *, owner: str | None, days: float | None
    ) -> "NewToken":
        from tuner.service import tokens
        from tuner.spec.access import TokenRequest

        asked = {"name": name, "scopes": scopes, "owner": owner, "days": days}
        return tokens.create(self._db, TokenRequest.model_validate(asked))

    def rotate(self, name: str, *, overlap_hours: float, days: float | None) -> "NewToken":
        from tuner.service import tokens
        from tuner.spec.access import RotationRequest

        request = RotationRequest(overlap_hours=overlap_hours, days=days)
        return tokens.rotate(self._db, name, request)

    def revoke(self, name: str) -> "TokenView":
        from tuner.service import tokens

        return tokens.revoke(self._db, name)
