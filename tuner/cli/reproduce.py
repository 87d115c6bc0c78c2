"""`segtune train`: train a configuration here, without a server, and compare the result."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import DataRoots, Device, configured, paths
from tuner.spec.messages import Device as Target

Best = Annotated[
    Path,
    typer.Argument(
        metavar="BEST.JSON", exists=True, dir_okay=False, help="What `segtune best` wrote."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for weights and checkpoints.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Change a value: training.epochs=5; repeatable.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the checkpoint in the --out folder.")
]
AllowOtherData = Annotated[
    bool,
    typer.Option(
        "--allow-other-data", help="Train although the data changed since the file was made."
    ),
]


def train(  # noqa: PLR0913, PLR0917  # the flags of a command
    file: Best,
    device: Device = None,
    out: Out = Path("trained"),
    data_root: DataRoots = None,
    changes: Changes = None,
    resume: Resume = False,
    allow_other_data: AllowOtherData = False,
) -> None:
    """Train a configuration again and compare the result.

    Ctrl-C saves a checkpoint, from which --resume goes on to the same numbers. Exit code 1 if the
    data are not those that the file's result was made with.
    """
    from tuner.cli.comparison import Record, compare
    from tuner.cli.documents import read_result
    from tuner.cli.retraining import Places, choose_threads, retrain, with_changes
    from tuner.cli.training_progress import shown
    from workers import devices
    from workers.settings import WorkerSettings

    settings = configured(WorkerSettings, device=device, data_roots=paths(data_root))
    visible = devices.gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
    target = devices.choose(settings.device, visible, is_free=lambda _: True)
    _show_only(target)
    recorded, found = read_result(file)
    config = with_changes(recorded, changes or ())
    record = None if found is None else Record(found.metrics, found.provenance, config != recorded)
    threads, notice = choose_threads(config, record, settings.threads, target.kind)
    if notice:
        typer.echo(notice)
    places = Places(
        folder=out,
        cache=settings.cache_folder,
        roots=settings.data_roots,
        device=devices.torch_name(target),
        threads=threads,
        resume=resume,
        # Who changes the data set means other data.
        data=None if record is None or config.dataset != recorded.dataset else record.data,
        allow_other_data=allow_other_data,
    )
    with shown(config.training.epochs, typer.echo) as display:
        result = retrain(config, places, display)
    if result.interrupted:
        typer.echo(
            f"stopped in epoch {result.step + 1} of {config.training.epochs}; the same command "
            f"with --resume goes on from {out / 'checkpoint.pt'} to the same numbers"
        )
        raise typer.Exit(128 + result.interrupted)
    typer.echo(f"weights are in {out / 'model.pt'}")
    if record is not None:
        for line in compare(result.metrics, record, result.provenance):
            typer.echo(line)


def _show_only(target: Target) -> None:
    """Let torch see that device alone, and the workspace that the exact mode needs.

    CUDA reads both once, when it starts.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if target.kind == "cuda":
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(target.index)
