"""`segtune fleet`: as many workers as there is work, on an engine that exists."""

from pathlib import Path
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

DriverOption = Annotated[
    str | None, typer.Option(help="Engine: local, ray, slurm, kubernetes.", show_default="local")
]
MinOption = Annotated[
    int | None, typer.Option(help="Workers that stay without work.", show_default="0")
]
MaxOption = Annotated[int | None, typer.Option(help="Workers at most.", show_default="32")]
SlotsOption = Annotated[
    int | None, typer.Option(help="Trials that a worker trains at once.", show_default="1")
]
CooldownOption = Annotated[
    float | None,
    typer.Option(help="Seconds with less work before it shrinks.", show_default="300"),
]
HoursOption = Annotated[
    float | None, typer.Option(help="Device hours after which all end.", show_default=False)
]
GpusOption = Annotated[
    float | None, typer.Option(help="GPUs of a worker; 0: the CPU.", show_default="1")
]
CpusOption = Annotated[float | None, typer.Option(help="CPUs of a worker.", show_default="1")]
IntervalOption = Annotated[
    float | None, typer.Option(help="Seconds between two looks.", show_default="10")
]
NameOption = Annotated[
    str | None, typer.Option(help="What workers' names begin with.", show_default=False)
]

TemplateOption = Annotated[
    Path | None,
    typer.Option(help="Kubernetes: the Job that a worker is made of.", show_default=False),
]
ScriptOption = Annotated[
    Path | None,
    typer.Option(help="Slurm: the batch script of a worker.", show_default="the one that ships"),
]


def fleet(  # noqa: PLR0913, PLR0917  # each option is an argument
    driver: DriverOption = None,
    min: MinOption = None,
    max: MaxOption = None,
    slots: SlotsOption = None,
    cooldown: CooldownOption = None,
    gpu_hours: HoursOption = None,
    gpus: GpusOption = None,
    cpus: CpusOption = None,
    interval: IntervalOption = None,
    name: NameOption = None,
    template: TemplateOption = None,
    script: ScriptOption = None,
    once: Annotated[bool, typer.Option("--once", help="Look and act once.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say once what would be done, and do nothing.")
    ] = False,
    server: ServerOption = None,
    token: TokenOption = None,
    device: DeviceOption = None,
    data_root: DataRootsOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Start workers while there is work, and end those that have none; they outlive it."""
    from tuner import logs
    from workers.fleet import contract, loop
    from workers.fleet.settings import FleetSettings
    from workers.settings import WorkerSettings

    settings = configured(
        FleetSettings, driver=driver, min=min, max=max, slots=slots, cooldown=cooldown,
        gpu_hours=gpu_hours, gpus=gpus, cpus=cpus, interval=interval, name=name, template=template,
        script=script,
    )  # fmt: skip
    worker = configured(
        WorkerSettings,
        server=server,
        token=token,
        device=device,
        data_roots=paths(data_root),
        log_format=log_format,
    )
    logs.configure("info", worker.log_format)
    found = loop.fleet_of(contract.load(settings, worker), settings, worker)
    if once or dry_run:
        plan = found.look()
        for line in loop.lines(plan) or [f"nothing to do (wanted: {plan.desired}; {plan.reason})"]:
            typer.echo(line)
        if not dry_run:
            found.act(plan)
        return
    from tuner.cli.processes import stopped_by_signals

    with stopped_by_signals() as stop:
        found.run(stop)
