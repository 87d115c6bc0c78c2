"""`segtune explain`: what mattered in a study, in words that cite the numbers."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import MODEL_FILES
from tuner.cli.options import ServerOption, StudyArgument, TokenOption, connect


def explain_study(
    study: StudyArgument,
    objective: Annotated[
        str | None,
        typer.Option(help="By another metric: iou.car, recall.worst, iou.[car,bus], …"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All numbers, as JSON.")] = False,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Say what mattered in a study: importance, interactions, the best tenth, failures."""
    from tuner.cli.show import explanation

    if Path(study).suffix.lower() in MODEL_FILES:
        from tuner.errors import InvalidInput, Problem

        message = f"'{study}' is a file, and this explains a study; for a model and an image use "
        raise InvalidInput([Problem((), f"{message}`segtune explain-image MODEL IMAGE`")])
    found = connect(server, token).explanation(study, objective=objective)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for line in explanation.lines(found):
        typer.echo(line)
