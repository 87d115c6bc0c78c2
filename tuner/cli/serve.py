"""`segtune serve`: the server, as one process or as several on one port."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import HostOption, LogFormatOption, PortOption, configured

if TYPE_CHECKING:
    from api.settings import Settings

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of database and artifacts; else SEGTUNE_HOME.", show_default=False),
]


def serve(  # noqa: PLR0913, PLR0917  # each option is an argument
    host: HostOption = None,
    port: PortOption = None,
    home: Home = None,
    root_path: Annotated[
        str | None,
        typer.Option(help="Path of a reverse proxy before it: /tune.", show_default=False),
    ] = None,
    log_format: LogFormatOption = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Server processes; several need PostgreSQL.", show_default="1"),
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the server: API, dashboard and upkeep."""
    _share_cores()  # before anything loads numpy
    from api.serve import serve as run
    from api.settings import Settings

    # A home that is named on the command line holds database and artifacts, whatever SEGTUNE_* say.
    below_home = {"database_url": "", "artifacts": ""} if home is not None else {}
    settings = configured(
        Settings, host=host, port=port, home=home, root_path=root_path, log_format=log_format,
        processes=processes, **below_home,
    )  # fmt: skip
    if parent is not None:
        run(settings, parent=parent)
    elif settings.processes > 1:
        _run_several(settings)
    else:
        # In JSON the log says so, and nothing else is put out beside it.
        run(settings, ready=None if settings.log_format == "json" else _say)


def _share_cores() -> None:
    """Have numpy and scipy count on one core each time, unless the environment says otherwise.

    The matrices of a draw are small; on a busy machine threads that wait for each other make it
    ten times as slow. More cores are used by drawing for several studies, and by `--processes`.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _say(address: str) -> None:
    typer.echo(f"segtune serves on {address}")


def _run_several(settings: "Settings") -> None:
    """Keep several server processes running until Ctrl-C or SIGTERM."""
    from api.serve import reserve
    from api.startup import prepare
    from tuner import logs
    from tuner.cli import processes
    from tuner.spec.address import local_address

    logs.configure(settings.log_level, settings.log_format)
    prepare(settings)  # here, where an error ends the command: the processes are started again
    with (
        TemporaryDirectory(prefix="segtune-") as counts,
        reserve(settings) as held,
        processes.running() as supervisor,
    ):
        port = held.getsockname()[1]
        each = settings.model_copy(update={"port": port})
        with suppress(KeyboardInterrupt):
            for command in processes.server_commands(each, Path(counts)):
                supervisor.start(command)
            processes.wait_for(settings.host, port)
            address = local_address(settings.host, port)
            if settings.log_format == "text":
                _say(f"{address} with {settings.processes} processes")
            supervisor.wait("server 1")
