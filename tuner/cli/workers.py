"""`segtune workers`: each with its device, and what keeps it from training."""

import typer

from tuner.cli.options import ServerOption, TokenOption, connect


def workers(server: ServerOption = None, token: TokenOption = None) -> None:
    """List workers, the last seen first; one that is unfit says why."""
    from datetime import UTC, datetime

    from tuner.cli.show import tables

    found = connect(server, token).workers()
    if not found:
        typer.echo("no worker; start one with `segtune worker`, or with `segtune up`")
        return
    tables.show(tables.workers(found, datetime.now(UTC)))
