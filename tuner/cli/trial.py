"""Commands on one trial of a study: show it with its error in full, try a failed one again."""

from typing import Annotated

import typer

from tuner.cli.options import ServerOption, StudyArgument, TokenOption, connect

NumberArgument = Annotated[int, typer.Argument(min=0, help="Number of the trial in its study.")]


def trial(
    study: StudyArgument,
    number: NumberArgument,
    json: Annotated[bool, typer.Option("--json", help="All that is known of it, as JSON.")] = False,
    log: Annotated[
        bool, typer.Option("--log", help="The last output of its training alone.")
    ] = False,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show one trial: params, metrics, attempts, its error in full."""
    client = connect(server, token)
    if log:
        typer.echo(client.log(study, number).text, nl=False)
        return
    found = client.trial(study, number)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    from tuner.cli.show import tables

    tables.show(tables.trial(found))
    if found.error:
        typer.echo(f"\n{found.error.strip()}")


def retry(
    study: StudyArgument,
    number: NumberArgument,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Try a failed trial again: same params, all its attempts anew."""
    found = connect(server, token).retry_trial(study, number)
    typer.echo(f"trial {found.number} of {found.study} is {found.state.value}")
