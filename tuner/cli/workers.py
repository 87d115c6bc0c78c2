"""`segtune workers`, `queue`, `drain` and `undrain`: the fleet, and what waits for it."""

from typing import Annotated

import typer

from tuner.cli.options import ServerOption, TokenOption, connect

WorkerArgument = Annotated[
    str, typer.Argument(help="Name of a worker, as `segtune workers` has it.")
]


def workers(server: ServerOption = None, token: TokenOption = None) -> None:
    """List workers, the last seen first; one that is unfit says why."""
    from datetime import UTC, datetime

    from tuner.cli.show import tables

    found = connect(server, token).workers()
    if not found:
        typer.echo("no worker; start one with `segtune worker`, or with `segtune up`")
        return
    tables.show(tables.workers(found, datetime.now(UTC)))


def queue(server: ServerOption = None, token: TokenOption = None) -> None:
    """List what waits for workers, in the order of its turns, and why it is not trained now."""
    from tuner.cli.show import tables

    found = connect(server, token).queue()
    if not found.entries:
        typer.echo("nothing waits: every study has ended")
        return
    tables.show(tables.queue(found))


def drain(worker: WorkerArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Let a worker end the trial that it has, and give it no other."""
    found = connect(server, token).drain(worker)
    if found.trial is None:
        typer.echo(f"worker {found.name} is drained; it may be stopped")
    else:
        typer.echo(f"worker {found.name} ends {found.study} {found.trial}, and takes no other")


def undrain(worker: WorkerArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Give a drained worker trials again."""
    found = connect(server, token).undrain(worker)
    typer.echo(f"worker {found.name} takes trials again")
