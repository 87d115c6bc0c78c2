"""`segtune export`: a trained model as ONNX, TorchScript or a program of `torch.export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import ModelArgument, ModelSources, WeightsOption, find_model, open_trained
from tuner.cli.options import DataRootsOption, ServerOption, TokenOption, configured, paths


class To(StrEnum):
    """The forms of an exported model."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    TORCH_EXPORT = "torch-export"


def export(  # noqa: PLR0913, PLR0917  # the options of the command
    model: ModelArgument,
    to: Annotated[To, typer.Option("--to", help="Form of the file.")] = To.ONNX,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; else model.onnx, .ts or .pt2."),
    ] = None,
    argmax: Annotated[
        bool, typer.Option("--argmax/--logits", help="Class of each pixel, or scores.")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic/--static", help="Any batch and size, where possible.")
    ] = True,
    opset: Annotated[int, typer.Option(help="ONNX operators' version.")] = 18,
    weights: WeightsOption = None,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Write a trained model as a file that runs without segtune.

    The file is compared with the model on images of its data set, and left only if it agrees.
    Mean and deviation of the images are inside; classes, palette and config are in its metadata.
    """
    from tuner.delivery.export.images import validation_images
    from tuner.delivery.export.write import Options
    from tuner.delivery.export.write import export as run
    from tuner.delivery.licence import licence
    from workers.settings import WorkerSettings

    settings = configured(WorkerSettings, data_roots=paths(data_root))
    found = find_model(model, ModelSources(settings.cache_folder, server, token, weights))
    trained = open_trained(found)
    images, why = validation_images(trained.config, settings.cache_folder, settings.data_roots)
    suffix = {To.ONNX: "model.onnx", To.TORCHSCRIPT: "model.ts", To.TORCH_EXPORT: "model.pt2"}
    done = run(
        trained,
        out or Path(suffix[to]),
        form=to.value,
        options=Options(
            gives="labels" if argmax else "logits",
            dynamic=dynamic,
            opset=opset,
            licence=licence(trained.config, found.best.provenance if found.best else {}),
        ),
        images=images,
    )
    for note in done.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"compared on {why}: {done.agreement}")
    batch = "any batch" if done.facts.dynamic_batch else "one image at a time"
    height, width = done.facts.size
    size = "any size" if done.facts.dynamic_size else f"{height}×{width} only"
    typer.echo(f"wrote {done.path}: {done.facts.gives}, {batch}, {size}")
