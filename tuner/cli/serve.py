"""`segtune serve`: the server."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import HostOption, PortOption, configured

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
) -> None:
    """Run the server: API, dashboard and upkeep."""
    from api.serve import serve as run
    from api.settings import Settings

    # A home that is named on the command line holds database and artifacts, whatever SEGTUNE_* say.
    below_home = {"database_url": "", "artifacts": ""} if home is not None else {}
    settings = configured(
        Settings, host=host, port=port, home=home, root_path=root_path, **below_home
    )
    run(settings, ready=lambda address: typer.echo(f"segtune serves on {address}"))
