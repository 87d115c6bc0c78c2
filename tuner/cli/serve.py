"""`segtune serve`: the server."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import HostOption, LogFormatOption, PortOption, configured

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of database and artifacts; else SEGTUNE_HOME.", show_default=False),
]


def serve(
    host: HostOption = None,
    port: PortOption = None,
    home: Home = None,
    root_path: Annotated[
        str | None,
        typer.Option(help="Path of a reverse proxy before it: /tune.", show_default=False),
    ] = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run the server: API, dashboard and upkeep."""
    from api.serve import serve as run
    from api.settings import Settings

    # A home that is named on the command line holds database and artifacts, whatever SEGTUNE_* say.
    below_home = {"database_url": "", "artifacts": ""} if home is not None else {}
    settings = configured(
        Settings,
        host=host,
        port=port,
        home=home,
        root_path=root_path,
        log_format=log_format,
        **below_home,
    )
    # In JSON the log says so, and nothing else is put out beside it.
    is_json = settings.log_format == "json"
    run(settings, ready=None if is_json else _say)


def _say(address: str) -> None:
    typer.echo(f"segtune serves on {address}")
