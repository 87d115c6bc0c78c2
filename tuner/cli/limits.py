"""`segtune owners` and `segtune maintenance`: what holds the fleet back."""

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import ServerOption, TokenOption, connect
from tuner.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from tuner.spec.access import MaintenanceView, OwnerView

owners_app = typer.Typer(help="Say what each owner has spent, and may.")
maintenance_app = typer.Typer(help="Let nobody have a further trial, for a while.")


@owners_app.command("list")
def list_owners(server: ServerOption = None, token: TokenOption = None) -> None:
    """List everyone who owns a study or has a limit, with their device hours."""
    with connect(server, token) as client:
        found = client.tokens.owners()
    for one in found:
        typer.echo(_owner(one))
    if not found:
        typer.echo("nobody owns a study; those of a token of `segtune token create` have an owner")


@owners_app.command("limit")
def limit_owner(
    owner: Annotated[str, typer.Argument(help="As their tokens have it.")],
    hours: Annotated[
        float | None, typer.Option(min=0, help="Device hours in all.", show_default="any")
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Let an owner's studies train so many device hours, or without --hours as many as they like.

    What they have trained so far counts. Once all are spent no further trial of theirs begins.
    """
    if not owner:
        raise InvalidInput([Problem(("owner",), "must not be empty; `segtune owners list`")])
    with connect(server, token) as client:
        typer.echo(_owner(client.tokens.limit_owner(owner, hours)))


@maintenance_app.command("on")
def maintenance_on(
    reason: Annotated[str, typer.Option(help="What the queue says.", show_default=False)] = "",
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Give out no trial any more; what runs goes on."""
    with connect(server, token) as client:
        typer.echo(_maintenance(client.tokens.begin_maintenance(reason)))


@maintenance_app.command("off")
def maintenance_off(server: ServerOption = None, token: TokenOption = None) -> None:
    """Give out trials again."""
    with connect(server, token) as client:
        typer.echo(_maintenance(client.tokens.end_maintenance()))


@maintenance_app.command("show")
def maintenance_show(server: ServerOption = None, token: TokenOption = None) -> None:
    """Say whether trials are given out."""
    with connect(server, token) as client:
        typer.echo(_maintenance(client.tokens.maintenance()))


def _owner(one: "OwnerView") -> str:
    limit = "" if one.limit is None else f" of {one.limit:g}"
    return f"{one.owner}: {one.hours:.4g}{limit} h of devices (studies: {one.studies})"


def _maintenance(found: "MaintenanceView") -> str:
    if not found.is_on:
        return "trials are given out"
    why = f": {found.reason}" if found.reason else ""
    return f"maintenance since {found.since:%Y-%m-%d %H:%M:%S}Z, no trial is given out{why}"
