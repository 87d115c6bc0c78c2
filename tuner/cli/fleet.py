"""`segtune up`, `serve` and `worker`: the processes that do the work."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import DataRoots, Device, Server, Token, configured, paths

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")]
Home = Annotated[
    Path | None,
    typer.Option(help="Folder of database and artifacts; else SEGTUNE_HOME.", show_default=False),
]


def serve(
    host: Host = None,
    port: Port = None,
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


def worker(
    server: Server = None,
    token: Token = None,
    device: Device = None,
    name: Annotated[
        str | None, typer.Option(help="Name in the dashboard.", show_default=False)
    ] = None,
    data_root: DataRoots = None,
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="End after so many trials.", show_default=False)
    ] = None,
) -> None:
    """Run a worker: it trains trials on one device."""
    from tuner.cli.logs import set_up
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
    set_up("INFO")
    raise typer.Exit(run(settings, max_trials=max_trials))


def up(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Default: one per device.", show_default=False)
    ] = None,
    device: Device = None,
    data_root: DataRoots = None,
) -> None:
    """Run a server and a worker for each device until Ctrl-C."""
    from api.settings import Settings
    from api.startup import prepare
    from tuner.cli import household
    from tuner.cli.logs import set_up
    from tuner.transport import except_from_proxies

    settings = configured(Settings, host=host, port=port)
    prepare(settings)  # here, where an error ends the command: the server is started again
    set_up(settings.log_level)
    except_from_proxies(settings.host)  # it is this machine, whatever its address
    address = household.address(settings.host, settings.port)
    household.refuse_taken_port(settings.host, settings.port)
    serving = household.server_command(settings.host, settings.port)
    training = household.worker_commands(
        address, household.devices(device, workers), tuple(data_root or ())
    )
    with household.running() as house:
        household.start_server(house, serving, address)
        for command in training:
            house.start(command)
        typer.echo(f"dashboard: {address}/   workers: {len(training)}   Ctrl-C ends all")
        with suppress(KeyboardInterrupt):
            house.wait(serving.name)
        typer.echo("ending: workers hand their trials back first; Ctrl-C again kills them")
    if code := house.ended(serving.name):
        raise typer.Exit(code)
