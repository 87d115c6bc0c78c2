"""The work of `segtune prune`: from a trained model to a smaller one that was trained on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from tuner.cli.compress.sources import Original
from tuner.cli.train.progress import shown
from tuner.cli.train.retraining import Places, retrain
from tuner.delivery.compress import costs
from tuner.delivery.compress.costs import CompressionStep
from tuner.delivery.compress.fine_tuning import fine_tuning
from tuner.delivery.compress.pruning import Pruned, PruningPlan, prune
from tuner.delivery.trained import TrainedModel, open_model
from tuner.errors import InvalidInput, Problem, StorageError
from tuner.training.network.model import parameter_count
from tuner.training.network.model_files import write_model

_PRUNED, _MODEL = "pruned.pt", "model.pt"
_SHARE = 3  # of training's epochs, for fine-tuning
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class PruningResult:
    """The model that came out, what each step cost, and how the network was pruned."""

    model: Path
    steps: tuple[CompressionStep, ...]
    facts: Mapping[str, Any]
    kept: tuple[str, ...]


def plan(ratio: float, layers: Iterable[str], *, together: bool, round_to: int) -> PruningPlan:
    """The plan of the command's options. Raises InvalidInput."""
    shares = {}
    for each in layers:
        name, _, share = each.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            message = f"write NAME=SHARE as in encoder=0.2, not '{each}'"
            raise InvalidInput([Problem(("--layer",), message)]) from None
    found = PruningPlan(ratio, "global" if together else "layer", shares, round_to)
    found.check()
    return found


def pruned(
    source: Original,
    plan: PruningPlan,
    out: Path,
    *,
    epochs: int | None,
    rate: float,
    say: Callable[[str], None],
) -> PruningResult:
    """Prune, score, train what is left, and score that.

    Raises:
        TrainingError: the network cannot be pruned, or not be trained on.
        StorageError: the folder cannot be written.
    """
    whole = source.trained
    count = max(source.config.training.epochs // _SHARE, 1) if epochs is None else epochs
    found = prune(whole.network, plan, classes=len(whole.classes), origin=whole.sha256)
    path = out / (_PRUNED if count else _MODEL)
    _written(found, source, path)
    say(_described(found))
    steps = [
        _step(whole, source, "before", source.path),
        _step(open_model(path, device=source.device), source, "pruned", path),
    ]
    if count:
        _train(source, out, epochs=count, rate=rate, say=say)
        path = out / _MODEL
        steps.append(_step(open_model(path, device=source.device), source, "fine-tuned", path))
    return PruningResult(path, tuple(steps), found.network.pruning, found.kept)


def _written(found: Pruned, source: Original, path: Path) -> None:
    config = source.trained.config.model_copy(update={"dataset": source.config.dataset})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_model(path, found.network, config)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; name another folder with --out"
        ) from error


def _step(trained: TrainedModel, source: Original, name: str, path: Path) -> CompressionStep:
    return costs.measured(
        trained,
        source.data.val,
        name=name,
        parameters=parameter_count(trained.network),
        file=path,
    )


def _train(
    source: Original, out: Path, *, epochs: int, rate: float, say: Callable[[str], None]
) -> None:
    """Fine-tune what lies in the folder; an interruption ends the command."""
    config = fine_tuning(source.config, weights=_PRUNED, epochs=epochs, rate=rate)
    settings = source.settings
    places = Places(
        folder=out,
        cache=settings.cache_folder,
        roots=(out, *settings.data_roots),
        device=source.device,
        threads=settings.threads,
    )
    with shown(epochs, say) as display:
        result = retrain(config, places, display)
    if result.interrupted:
        say(_stopped(result.step, epochs, out))
        raise typer.Exit(128 + result.interrupted)


def _stopped(step: int, epochs: int, folder: Path) -> str:
    """Where fine-tuning was interrupted, and what is left of it."""
    return (
        f"stopped in epoch {step + 1} of {epochs} of the fine-tuning; the pruned network is in "
        f"{folder / _PRUNED}, and the same command prunes and fine-tunes from the start"
    )


def _described(found: Pruned) -> str:
    names = ", ".join(found.kept[:_SHOWN])
    more = f" and {len(found.kept) - _SHOWN} more" if len(found.kept) > _SHOWN else ""
    return f"kept whole: {names}{more}"
