"""`segtune ensemble`: average the best models of a study, and say what that gains."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import (
    DataRootsOption,
    DeviceOption,
    ServerOption,
    StudyArgument,
    TokenOption,
    connect,
    paths,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tuner.spec.study import Objective
    from tuner.spec.views import TrialView


def ensemble(  # noqa: PLR0913, PLR0917  # the flags of a command
    study: StudyArgument,
    top: Annotated[int, typer.Option(min=1, max=500, help="Models to choose from.")] = 20,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write; its models lie beside it.")
    ] = Path("ensemble.json"),
    objective: Annotated[
        str | None,
        typer.Option(help="Choose by another metric than the study's: iou.worst, dice, …"),
    ] = None,
    device: DeviceOption = None,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Average the best models of a study.

    Members are selected one by one, as often as each helps, by the study's metric on the
    validation split; evaluate and predict take the file that is written.
    """
    from tuner.cli.documents import write
    from tuner.cli.ensemble_files import documented, kept_models, lines, models_folder, with_files
    from tuner.cli.models import ModelSources, fetched
    from tuner.cli.outputs import check_writable
    from tuner.cli.train.command import machine
    from tuner.delivery.ensembling import build, check_objective
    from tuner.delivery.trained import open_model
    from tuner.training.data.load import load

    check_writable(out, models_folder(out) / "model.pt")
    client = connect(server, token)
    spec = client.study(study).spec
    chosen, classes = _objective_of(spec.objectives, objective), spec.dataset.classes
    check_objective(chosen, classes)
    settings, target = machine(device, paths(data_root))
    kept = kept_models(client, study, chosen, top)
    sources = ModelSources(settings.cache_folder, server, token)
    models = [
        (each, fetched(each.artifact, f"trial {each.trial.number}", sources)) for each in kept
    ]
    data = load(
        kept[0].trial.config.dataset, cache=settings.cache_folder, roots=settings.data_roots
    )
    _warn_of_other_data([each.trial for each in kept], data.fingerprint)
    openers = [
        partial(open_model, path, device=target, name=f"trial {each.trial.number}")
        for each, path in models
    ]
    with _progress(len(models) * len(data.val)) as done:
        result = build(openers, data.val, chosen, classes, done=done)
    document = documented(spec.name, chosen, result, kept, len(data.val))
    document = with_files(document, {one.trial.number: path for one, path in models}, out)
    write(out, document.model_dump_json(indent=2) + "\n")
    for line in lines(document):
        typer.echo(line)
    typer.echo(f"wrote {out}")


def _objective_of(objectives: "Sequence[Objective]", metric: str | None) -> "Objective":
    """The study's first objective, or another metric in the study's or the usual direction.

    Without its epoch, because an ensemble has none.
    """
    from tuner.spec.study import Objective

    chosen = metric or objectives[0].metric
    known = [each for each in objectives if each.metric == chosen]
    if not known:
        return Objective(metric=chosen)
    return Objective(metric=chosen, direction=known[0].direction)


def _warn_of_other_data(trials: "Sequence[TrialView]", fingerprint: str) -> None:
    from tuner.spec.versions import short

    other = [each.number for each in trials if each.data_version not in {None, fingerprint}]
    if other:
        typer.echo(
            f"warning: {len(other)} of {len(trials)} models (trial {other[0]}, …) were trained on "
            f"other data than there are now ({short(fingerprint)}); values differ from theirs",
            err=True,
        )


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[], None]]":
    """A bar on a terminal's standard error; nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda: None
        return
    with typer.progressbar(length=total, label="scoring", file=sys.stderr) as bar:
        yield lambda: bar.update(1)
