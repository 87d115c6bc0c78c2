"""`segtune card`: the model card of a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import ModelArgument, ModelSources, WeightsOption, find_model, open_trained
from tuner.cli.options import ServerOption, TokenOption, configured


def card(
    model: ModelArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else it is printed.")
    ] = None,
    weights: WeightsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Write the model card: data, recipe, results, limits and licence, as Markdown."""
    from tuner.cli.documents import write
    from tuner.delivery.card import card as described
    from workers.settings import WorkerSettings

    cache = configured(WorkerSettings).cache_folder
    found = find_model(model, ModelSources(cache, server, token, weights))
    text = described(open_trained(found), found.best)
    if out is None:
        typer.echo(text, nl=False)
        return
    write(out, text)
    typer.echo(f"wrote {out}")
