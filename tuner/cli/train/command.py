"""`segtune train`: train a configuration here, without a server, and compare the result."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import DataRootsOption, DeviceOption, configured, paths

if TYPE_CHECKING:
    from workers.settings import WorkerSettings

AllowOtherData = Annotated[
    bool,
    typer.Option(
        "--allow-other-data", help="Train although the data changed since the file was made."
    ),
]


def train(  # noqa: PLR0913, PLR0917  # the flags of a command
    file: Annotated[
        Path,
        typer.Argument(
            metavar="BEST.JSON", exists=True, dir_okay=False, help="What `segtune best` wrote."
        ),
    ],
    device: DeviceOption = None,
    out: Annotated[Path, typer.Option(help="Folder for weights and checkpoints.")] = Path(
        "trained"
    ),
    data_root: DataRootsOption = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: training.epochs=5; repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the --out folder.")
    ] = False,
    allow_other_data: AllowOtherData = False,
) -> None:
    """Train a configuration again and compare the result.

    Ctrl-C saves a checkpoint, from which --resume goes on to the same numbers. Exit code 1 if the
    data are not those that the file's result was made with.
    """
    from tuner.cli.documents import read_result
    from tuner.cli.train import retraining
    from tuner.cli.train.comparison import Record, compare
    from tuner.cli.train.progress import describe_stop, shown

    recorded, found = read_result(file)
    config = retraining.with_changes(recorded, changes or ())
    recorded = retraining.completed(recorded)
    record = None if found is None else Record(found.metrics, found.provenance, config != recorded)
    settings, target = machine(device, paths(data_root))
    threads, notice = retraining.choose_threads(config, record, settings.threads, target)
    typer.echo(notice, nl=bool(notice))
    places = retraining.Places(
        folder=out,
        cache=settings.cache_folder,
        roots=settings.data_roots,
        device=target,
        threads=threads,
        resume=resume,
        # A changed data set means other data.
        data=None if record is None or config.dataset != recorded.dataset else record.data,
        allow_other_data=allow_other_data,
    )
    with shown(config.training.epochs, typer.echo) as display:
        result = retraining.retrain(config, places, display)
    if result.interrupted:
        typer.echo(describe_stop(result.step, config.training.epochs, out))
        raise typer.Exit(128 + result.interrupted)
    epoch = result.provenance.get("model_epoch")
    best = "" if epoch is None else f", of epoch {epoch}: the best of them"
    typer.echo(f"weights are in {out / 'model.pt'}{best}")
    for line in compare(result.metrics, record, result.provenance) if record else ():
        typer.echo(line)


def machine(
    device: str | None, data_roots: tuple[Path, ...] | None
) -> "tuple[WorkerSettings, str]":
    """Settings as a worker's, and the device as torch is to call it; other GPUs are hidden."""
    from tuner.spec.kinds import DeviceKind
    from workers import devices
    from workers.settings import WorkerSettings

    settings = configured(WorkerSettings, device=device, data_roots=data_roots)
    visible = devices.gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
    target = devices.choose(settings.device, visible, is_free=lambda _: True)
    # Read by CUDA once, when it starts; the exact mode needs it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if target.kind == DeviceKind.CUDA:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(target.index)
    return settings, devices.torch_name(target)
