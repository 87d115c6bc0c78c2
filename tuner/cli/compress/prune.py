"""`segtune prune`: take channels from a trained model, and train what is left."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import ChangesOption, DataOption, JsonOption, ModelArgument, WeightsOption
from tuner.cli.options import DataRootsOption, DeviceOption, ServerOption, TokenOption, paths

Ratio = Annotated[float, typer.Option(help="Share of the channels to take, more than 0, below 1.")]
Together = Annotated[
    bool, typer.Option("--global", help="Rank all layers together, not each by itself.")
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        help="Another share for a part of the network: encoder=0.2; 0 keeps it; repeatable.",
        show_default=False,
    ),
]
RoundTo = Annotated[int, typer.Option(help="Keep a multiple of so many channels in each layer.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=0, help="Epochs of fine-tuning; 0 for none.", show_default="a third of training's"
    ),
]
Rate = Annotated[
    float, typer.Option("--lr-factor", min=0.0, max=10.0, help="Share of training's learning rate.")
]
FolderOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.")]


def prune(  # noqa: PLR0913, PLR0917  # the options of a command
    model: ModelArgument,
    ratio: Ratio = 0.3,
    together: Together = False,
    layers: Layers = None,
    round_to: RoundTo = 1,
    epochs: Epochs = None,
    rate: Rate = 0.1,
    out: FolderOption = Path("pruned"),
    json: JsonOption = None,
    data: DataOption = None,
    changes: ChangesOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Take whole channels from a model, and train it on.

    The result is a model.pt like any other, with mIoU and latency before and after.
    """
    from tuner.cli.compress import pruning
    from tuner.cli.compress.sources import opened
    from tuner.cli.documents import write
    from tuner.cli.models import ModelSources
    from tuner.cli.train.command import machine
    from tuner.delivery.compress import costs
    from tuner.delivery.needs import require

    plan = pruning.plan(ratio, layers or (), together=together, round_to=round_to)
    require("torch_pruning", purpose="pruning")
    settings, target = machine(device, paths(data_root))
    source = opened(
        model,
        ModelSources(settings.cache_folder, server, token, weights),
        settings,
        device=target,
        data=data,
        changes=tuple(changes or ()),
    )
    found = pruning.pruned(source, plan, out, epochs=epochs, rate=rate, say=typer.echo)
    for line in costs.described(found.steps):
        typer.echo(line)
    typer.echo(f"the model is in {found.model}")
    if json is not None:
        write(json, costs.as_json(found.steps, pruning=found.facts, kept=found.kept))
