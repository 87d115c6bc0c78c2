"""The config trained again with other seeds; what was trained before is not trained twice."""

from dataclasses import replace
from pathlib import Path

import typer

from tuner.cli.train.progress import shown
from tuner.cli.train.retraining import Places, completed, retrain
from tuner.configs.seeds import fresh_seeds
from tuner.delivery.trained import open_model
from tuner.errors import InvalidInput, Problem
from tuner.spec.config import TrialConfig

_MODEL, _CHECKPOINT = "model.pt", "checkpoint.pt"


def trained(config: TrialConfig, count: int, places: Places) -> tuple[tuple[int, Path], ...]:
    """Seeds and model files of the config, each trained in a folder of its own.

    A folder that holds the model of a seed is taken as it is; a checkpoint is gone on from.

    Raises:
        InvalidInput: a folder holds the model of another config.
        typer.Exit: the training was interrupted; the same command goes on.
    """
    found = []
    for place, seed in enumerate(fresh_seeds(config.seed, count), start=1):
        wanted = config.model_copy(update={"seed": seed})
        folder = places.folder / str(seed)
        path = folder / _MODEL
        if not path.is_file():
            typer.echo(f"seed {seed} ({place} of {count}): training")
            _train(wanted, replace(places, folder=folder))
        else:
            typer.echo(f"seed {seed} ({place} of {count}): {path} is there already")
            _check(path, wanted)
        found.append((seed, path))
    return tuple(found)


def _check(path: Path, wanted: TrialConfig) -> None:
    """Raise InvalidInput where a model is not the one that training the config would give."""
    if completed(open_model(path).config) != completed(wanted):
        message = f"{path} is of another config; name another --out, or delete its folder"
        raise InvalidInput([Problem(("--seeds",), message)])


def _train(config: TrialConfig, places: Places) -> None:
    """Train to the end; an interruption leaves a checkpoint."""
    places = replace(places, resume=(places.folder / _CHECKPOINT).is_file())
    with shown(config.training.epochs, typer.echo) as display:
        result = retrain(config, places, display)
    if result.interrupted:
        typer.echo(
            f"stopped in epoch {result.step + 1} of {config.training.epochs}; the same command "
            f"goes on from {places.folder / _CHECKPOINT}"
        )
        raise typer.Exit(128 + result.interrupted)
