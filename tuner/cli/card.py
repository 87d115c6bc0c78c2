"""`segtune card`: write down what a model is, for whoever gets it."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.models import ModelArgument, WeightsOption
from tuner.cli.options import ServerOption, TokenOption


def card(
    model: ModelArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Markdown file to write; - shows it.")
    ] = Path("MODEL_CARD.md"),
    weights: WeightsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Write a model card: data, recipe, results, limits, licence."""
    from tuner.cli.documents import write
    from tuner.cli.models import ModelSources, find_model
    from tuner.cli.options import configured
    from tuner.delivery.card import card as rendered
    from tuner.delivery.trained import open_model
    from workers.settings import WorkerSettings

    cache = configured(WorkerSettings).cache_folder
    found = find_model(model, ModelSources(cache, server, token, weights))
    config = found.best.config if found.best else open_model(found.path).config
    text = rendered(config, found.name, found.best)
    if str(out) == "-":
        typer.echo(text, nl=False)
        return
    write(out, text)
    typer.echo(f"wrote {out}")
