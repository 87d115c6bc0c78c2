"""`segtune quantize`: an ONNX file in INT8 from a trained model."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tuner.cli.models import ChangesOption, DataOption, JsonOption, ModelArgument, WeightsOption
from tuner.cli.options import DataRootsOption, ServerOption, TokenOption, paths

CalibrationOption = Annotated[
    Literal["entropy", "percentile", "minmax"],
    typer.Option(help="How ranges of activations are chosen."),
]
ImagesOption = Annotated[
    int, typer.Option(min=1, max=100_000, help="Training images to calibrate with.")
]
MaxDrop = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Most mIoU that may be lost on validation images.")
]
FileOption = Annotated[Path, typer.Option("--out", "-o", help="File to write, .onnx.")]


def quantize(  # noqa: PLR0913, PLR0917  # the options of a command
    model: ModelArgument,
    calibration: CalibrationOption = "percentile",
    images: ImagesOption = 64,
    max_drop: MaxDrop = 0.01,
    out: FileOption = Path("model.int8.onnx"),
    json: JsonOption = None,
    data: DataOption = None,
    changes: ChangesOption = None,
    weights: WeightsOption = None,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Write a model as ONNX in INT8, with mIoU and latency before and after.

    Where it loses more than --max-drop, the layers that are harmed most stay in float.
    """
    from tuner.cli.compress import quantising
    from tuner.cli.compress.sources import opened
    from tuner.cli.documents import write
    from tuner.cli.models import ModelSources
    from tuner.cli.train.command import machine
    from tuner.delivery.compress import costs
    from tuner.delivery.needs import require

    quantising.check_name(out)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, purpose="quantisation")
    settings, _ = machine("cpu", paths(data_root))
    source = opened(
        model,
        ModelSources(settings.cache_folder, server, token, weights),
        settings,
        device="cpu",
        data=data,
        changes=tuple(changes or ()),
    )
    plan = quantising.QuantisationPlan(calibration, images, max_drop)
    found = quantising.quantised(source, plan, out, say=typer.echo)
    for line in (*costs.described(found.steps), *quantising.described(found)):
        typer.echo(line)
    if json is not None:
        write(json, costs.as_json(found.steps, **found.facts()))
