"""`segtune demo`: a whole study on this machine, from nothing to a best configuration."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".demo"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Add to an earlier demo instead of starting afresh.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="On a terminal: serve on when the study has ended.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the server, if it is free.")] = 8000,
) -> None:
    """Run a whole study on drawn street scenes, here and now."""
    import sys

    from tuner import logs
    from tuner.cli import processes
    from tuner.cli.demo import demonstration
    from tuner.cli.watch import exit_code

    logs.configure("warning")
    with demonstration.prepared(folder, keep=keep) as home, processes.running() as supervisor:
        client = demonstration.start(supervisor, home, processes.free_port("127.0.0.1", port))
        typer.echo(f"dashboard: {client.server}/")
        study = demonstration.run(client)
        for line in demonstration.summary(client, study, folder):
            typer.echo(line)
        if serve and sys.stdout.isatty():
            typer.echo(f"serving on {client.server}/ until Ctrl-C")
            supervisor.wait("server")
    raise typer.Exit(exit_code(study.state))
