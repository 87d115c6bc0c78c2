"""`segtune audit`: who did what, when, and to what."""

import json
from itertools import islice
from typing import Annotated

import typer

from tuner.cli.options import ServerOption, TokenOption, connect


def audit(
    study: Annotated[
        int | None, typer.Option(help="Id of a study, there or gone; else all.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Lines at most.")] = 50,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """List what callers changed, the last first."""
    found = connect(server, token).tokens.audit(study)
    for deed in islice(found, limit):
        details = json.dumps(deed.details, ensure_ascii=False) if deed.details else ""
        who = deed.caller if deed.owner in {None, deed.caller} else f"{deed.caller} ({deed.owner})"
        line = f"{deed.at:%Y-%m-%d %H:%M:%S}Z  {who}  {deed.action}  {deed.target}  {details}"
        typer.echo(line.rstrip())
