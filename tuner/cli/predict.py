"""`segtune predict`: segment images and videos with a model of any form."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import (
    AnyModelArgument,
    ModelSources,
    WeightsOption,
    find_model,
    open_predictor,
)
from tuner.cli.options import DeviceOption, ServerOption, TokenOption
from tuner.wording import quantity


class DrawingChoice(StrEnum):
    """How results are drawn."""

    OVERLAY = "overlay"
    MASK = "mask"
    COLOUR = "colour"


def predict(  # noqa: PLR0913, PLR0917  # the options of the command
    model: AnyModelArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Images, videos, folders, or patterns of them."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "predicted"
    ),
    look: Annotated[
        DrawingChoice,
        typer.Option("--as", help="overlay on the image, mask of class numbers, or colour."),
    ] = DrawingChoice.OVERLAY,
    batch: Annotated[int, typer.Option(min=1, max=256, help="Images at once.")] = 8,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Segment images and videos with a model of any form.

    Results are PNG files at the size of their inputs, and lie in the --out folder as the inputs
    do in theirs. A broken input is named, and the others go on; the exit code is 1 then.
    """
    from tuner.cli.failures import FAILED
    from tuner.cli.outputs import check_folder
    from tuner.cli.train.command import machine
    from tuner.delivery.inputs import sources
    from tuner.delivery.predict import Sink
    from tuner.delivery.predict import predict as run

    given = sources(inputs, out)
    check_folder(out)
    settings, target = machine(device, None)
    places = ModelSources(settings.cache_folder, server, token, weights)
    found = find_model(model, places)
    opened = open_predictor(found, places, device=target, threads=settings.threads or 0)
    with _shown(len(given)) as advance:
        tally = run(opened, given, Sink(out, look.value, batch), advance)
    for failure in tally.failures:
        typer.echo(f"{failure.path}: {failure.reason}", err=True)
    what = f"wrote {quantity(tally.written, 'image')} ({look.value}) to {out}"
    if tally.failures:
        typer.echo(f"{what}; {len(tally.failures)} of {len(given)} inputs failed", err=True)
        raise typer.Exit(FAILED)
    typer.echo(what)


@contextmanager
def _shown(count: int) -> Iterator[Callable[[], None]]:
    """A moving bar on a terminal; elsewhere nothing moves."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disabled = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        task = progress.add_task("inputs", total=count)
        yield lambda: progress.advance(task)
