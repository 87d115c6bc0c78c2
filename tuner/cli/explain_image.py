"""`segtune explain-image`: what a model's answer for an image rests on, as a figure."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import ModelArgument, WeightsOption
from tuner.cli.options import DeviceOption, ServerOption, TokenOption


class MethodChoice(str, Enum):  # noqa: UP042  # typer shows the members of StrEnum by their repr
    """How to look."""

    INTEGRATED_GRADIENTS = "integrated-gradients"
    GRAD_CAM = "grad-cam"
    OCCLUSION = "occlusion"
    OBJECT_REGIONS = "object-regions"


class LayerChoice(str, Enum):  # noqa: UP042
    """Where Grad-CAM looks."""

    ENCODER = "encoder"
    DECODER = "decoder"


def explain_image(  # noqa: PLR0913, PLR0917  # the flags of a command
    model: ModelArgument,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image file.")],
    class_name: Annotated[
        str | None,
        typer.Option("--class", help="Default: the class that is predicted most."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Pixels of the image. Default: those of the class."),
    ] = None,
    method: Annotated[
        MethodChoice,
        typer.Option(help="object-regions: what the decoder ocr or asp_ocr attends to."),
    ] = MethodChoice.INTEGRATED_GRADIENTS,
    layer: Annotated[
        LayerChoice, typer.Option(help="Of Grad-CAM: its coarsest, or its last feature map.")
    ] = LayerChoice.ENCODER,
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Of occlusion. Default: an eighth of the shorter side."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=4096, help="Of Integrated Gradients. Default: as many as it takes."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write.")] = Path(
        "explanation.png"
    ),
    weights: WeightsOption = None,
    device: DeviceOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show which pixels of an image a model's answer rests on.

    Explained is the mean logit of a class, over the pixels that are predicted as it or a region.
    """
    from tuner.cli.models import ModelSources, find_model, open_trained
    from tuner.cli.train.command import machine
    from tuner.delivery.attribution import AttributionSettings
    from tuner.delivery.explaining import ImageRequest, explain, figure_kind, write

    figure_kind(out)
    settings, target = machine(device, None)
    sources = ModelSources(settings.cache_folder, server, token, weights)
    opened = open_trained(find_model(model, sources), device=target)
    request = ImageRequest(image, class_name, region)
    how = (
        None
        if method is MethodChoice.OBJECT_REGIONS
        else AttributionSettings(method.value, layer.value, window, steps)
    )
    figure, lines = explain(opened, request, how)
    write(out, figure)
    for line in lines:
        typer.echo(line)
    typer.echo(f"wrote {out}")
