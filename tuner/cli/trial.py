"""`segtune trial`: one trial of a study, with the whole text of its error."""

from typing import Annotated

import typer

from tuner.cli.options import ServerOption, StudyArgument, TokenOption, connect


def trial(
    study: StudyArgument,
    number: Annotated[int, typer.Argument(min=0, help="Number of the trial in its study.")],
    json: Annotated[bool, typer.Option("--json", help="All that is known of it, as JSON.")] = False,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show one trial: params, metrics, attempts, its error in full."""
    found = connect(server, token).trial(study, number)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    from tuner.cli.show import tables

    tables.show(tables.trial(found))
    if found.error:
        typer.echo(f"\n{found.error.strip()}")
