"""`segtune worker`: a process that trains."""

from typing import Annotated

import typer

from tuner.cli.options import (
    DataRootsOption,
    DeviceOption,
    LogFormatOption,
    ServerOption,
    TokenOption,
    configured,
    paths,
)


def worker(  # noqa: PLR0913, PLR0917  # options
    server: ServerOption = None,
    token: TokenOption = None,
    device: DeviceOption = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=1, help="GPUs, for trials that want several.", show_default=False),
    ] = None,
    slots: Annotated[
        str | None,
        typer.Option(
            help="Trials at once, as far as measured memory allows: auto, or a number at most.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name in the dashboard.", show_default=False)
    ] = None,
    data_root: DataRootsOption = None,
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="End after so many trials.", show_default=False)
    ] = None,
    log_format: LogFormatOption = None,
    idle_seconds: Annotated[
        float | None, typer.Option(help="End after so long without a trial.", show_default=False)
    ] = None,
) -> None:
    """Run a worker: it trains one trial after the other on its device, or several."""
    from tuner import logs
    from workers.agent import run
    from workers.settings import WorkerSettings

    settings = configured(
        WorkerSettings,
        server=server,
        token=token,
        device=device,
        gpus=gpus,
        slots=slots,
        worker_name=name,
        data_roots=paths(data_root),
        log_format=log_format,
        idle_seconds=idle_seconds,
    )
    logs.configure("info", settings.log_format)
    raise typer.Exit(run(settings, max_trials=max_trials))
