"""`segtune train`: train a configuration here, without a server, and compare the result."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.options import DataRoots, Device, configured, paths


def train(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="BEST.JSON", exists=True, dir_okay=False, help="What `segtune best` wrote."
        ),
    ],
    device: Device = None,
    out: Annotated[Path, typer.Option(help="Folder for weights and checkpoints.")] = Path(
        "trained"
    ),
    data_root: DataRoots = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: training.epochs=5; repeatable."),
    ] = None,
) -> None:
    """Train a configuration again and compare the result."""
    from tuner.cli.documents import read_result
    from tuner.cli.retraining import Places, compare, recorded_threads, retrain, with_changes
    from workers import devices
    from workers.settings import WorkerSettings

    settings = configured(WorkerSettings, device=device, data_roots=paths(data_root))
    visible = devices.gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
    target = devices.choose(settings.device, visible, is_free=lambda _: True)
    # Read by CUDA once, when it starts; the exact mode needs it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if target.kind == "cuda":
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(target.index)
    recorded, found = read_result(file)
    config = with_changes(recorded, changes or ())
    places = Places(
        folder=out,
        cache=settings.cache_folder,
        roots=settings.data_roots,
        device=devices.torch_name(target),
        threads=settings.threads or recorded_threads(found),
    )
    metrics = retrain(config, places, typer.echo)
    typer.echo(f"weights are in {out / 'model.pt'}")
    if found is not None:
        for line in compare(metrics, found.metrics, changed=config != recorded):
            typer.echo(line)
