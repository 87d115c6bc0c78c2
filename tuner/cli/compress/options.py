"""Options that both commands take."""

from pathlib import Path
from typing import Annotated

import typer

DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data",
        exists=True,
        dir_okay=False,
        help="A study or best.json whose data set is meant; else the model's own.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the data set: dataset.root=FOLDER; repeatable."),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write the report as JSON too.", show_default=False),
]
