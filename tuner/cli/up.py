"""`segtune up`: a server and its workers on this machine."""

from contextlib import suppress
from typing import Annotated

import typer

from tuner.cli.options import (
    DataRootsOption,
    DeviceOption,
    HostOption,
    LogFormatOption,
    PortOption,
    configured,
)


def up(
    host: HostOption = None,
    port: PortOption = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Default: one per device.", show_default=False)
    ] = None,
    device: DeviceOption = None,
    data_root: DataRootsOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run a server and a worker for each device until Ctrl-C."""
    from api.settings import Settings
    from api.startup import prepare
    from tuner import logs
    from tuner.cli import processes
    from tuner.spec.address import local_address
    from tuner.transport import except_from_proxies

    settings = configured(Settings, host=host, port=port, log_format=log_format)
    prepare(settings)  # here, where an error ends the command: the server is started again
    logs.configure(settings.log_level, settings.log_format)
    except_from_proxies(settings.host)  # it is this machine, whatever its address
    address = local_address(settings.host, settings.port)
    processes.refuse_taken_port(settings.host, settings.port)
    spoken = {"SEGTUNE_LOG_FORMAT": settings.log_format}
    serving = processes.server_command(settings.host, settings.port, spoken)
    training = processes.worker_commands(
        address, processes.devices(device, workers), tuple(data_root or ()), spoken
    )
    with processes.running() as supervisor:
        processes.start_server(supervisor, serving, address)
        for command in training:
            supervisor.start(command)
        typer.echo(f"dashboard: {address}/   workers: {len(training)}   Ctrl-C ends all")
        with suppress(KeyboardInterrupt):
            supervisor.wait(serving.name)
        typer.echo("ending: workers hand their trials back first; Ctrl-C again kills them")
    if code := supervisor.ended(serving.name):
        raise typer.Exit(code)
