"""`segtune worker`: a process that trains."""

from typing import Annotated

import typer

from tuner.cli.options import (
    DataRootsOption,
    DeviceOption,
    ServerOption,
    TokenOption,
    configured,
    log_from,
    paths,
)


def worker(
    server: ServerOption = None,
    token: TokenOption = None,
    device: DeviceOption = None,
    name: Annotated[
        str | None, typer.Option(help="Name in the dashboard.", show_default=False)
    ] = None,
    data_root: DataRootsOption = None,
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="End after so many trials.", show_default=False)
    ] = None,
) -> None:
    """Run a worker: it trains trials on one device."""
    from workers.agent import run
    from workers.settings import WorkerSettings

    settings = configured(
        WorkerSettings,
        server=server,
        token=token,
        device=device,
        worker_name=name,
        data_roots=paths(data_root),
    )
    log_from("INFO")
    raise typer.Exit(run(settings, max_trials=max_trials))
