"""Commands on studies: submit, list, change their state, take the best configuration."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.cli.options import ServerOption, StudyArgument, TokenOption, connect
from tuner.wording import quantity


class Format(str, Enum):  # noqa: UP042  # typer shows the members of StrEnum by their repr
    """How a file is written."""

    JSON = "json"
    YAML = "yaml"


StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY.YAML", exists=True, dir_okay=False, help="YAML or JSON.")
]


def submit(
    file: StudyFile,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the study to its end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    name: Annotated[str | None, typer.Option(help="Instead of the name in the file.")] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Submit a study."""
    from tuner.cli.class_names import with_classes
    from tuner.cli.documents import blaming, read_study
    from tuner.cli.watch import exit_code, follow

    document = with_classes(read_study(file))
    if name is not None:
        document["name"] = name
    client = connect(server, token)
    if dry_run:
        from tuner.cli.show import tables

        with blaming(file):
            found = client.plan(document)
        tables.show(tables.plan(found))
        return
    with blaming(file):
        study = client.submit(document)
    typer.echo(
        f"study {study.name} (id {study.id}) is {study.state.value}: "
        f"{quantity(study.budget, 'trial')}"
    )
    if study.waiting_for and not watch:
        typer.echo(f"it waits: {study.waiting_for}")
    if watch:
        raise typer.Exit(exit_code(follow(client, study.id)))
    typer.echo(f"follow it with `segtune watch {study.name}`")


def plan(
    file: StudyFile,
    epoch_seconds: Annotated[
        float | None,
        typer.Option(min=0.001, help="Of one epoch. Default: as in an earlier study of its data."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="That train at once. Default: `parallel`.")
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show what a study would train and cost, without submitting it."""
    from tuner.cli.class_names import with_classes
    from tuner.cli.documents import blaming, read_study
    from tuner.cli.show import tables

    document = with_classes(read_study(file))
    client = connect(server, token)
    with blaming(file):
        found = client.plan(document, epoch_seconds=epoch_seconds, workers=workers)
    tables.show(tables.plan(found))


def best(
    study: StudyArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else standard output.")
    ] = None,
    style: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's name.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="Choose by another metric: iou.car, recall.worst, iou.[car,bus], …"),
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Take the best configuration found so far."""
    from tuner.cli.documents import render, write
    from tuner.cli.show import sentences

    client = connect(server, token)
    found = client.best(study, objective=objective)
    _warn(client.study(study))
    is_yaml = out is not None and out.suffix in {".yaml", ".yml"}
    text = render(found, yaml=style == Format.YAML if style else is_yaml)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write(out, text)
        typer.echo(f"wrote trial {found.trial} of {found.study} to {out}")
    for line in sentences.confirmation(found):
        typer.echo(line, err=out is None)  # standard output is the document's alone


def list_studies(  # noqa: PLR0913  # one argument for each option of the command
    search: Annotated[
        str | None, typer.Argument(help="Words of the name, the data set or the networks.")
    ] = None,
    *,
    state: Annotated[str | None, typer.Option(help="Only studies in this state.")] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="created, name, state, best, gain, progress, priority or hours; "
            "-created: the other way round."
        ),
    ] = "created",
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Only those that `segtune restore` brings back.")
    ] = False,
    owner: Annotated[
        str | None, typer.Option(help="Only those that this owner submitted.", show_default=False)
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """List studies, newest first."""
    from datetime import UTC, datetime

    from tuner.cli.show import tables
    from tuner.spec.states import StudyState

    wanted = {"search": search, "state": _state(StudyState, state), "owner": owner}
    key = sort.removeprefix("-")
    # What a key is read in by itself is the server's to say; a minus turns it round.
    descending = (key in {"name", "state"}) if sort.startswith("-") else None
    found = tuple(
        connect(server, token).studies(**wanted, sort=key, descending=descending, deleted=deleted)
    )
    if not found:
        is_all = not (search or state or deleted)
        typer.echo("no study; submit one with `segtune submit study.yaml`" if is_all else "none")
        return
    tables.show(tables.studies(found, datetime.now(UTC)))


def list_trials(  # noqa: PLR0913, PLR0917  # the options of the command
    study: StudyArgument,
    sort: Annotated[
        str,
        typer.Option(
            help="number, value, step, a searched path or a metric; -value: highest first."
        ),
    ] = "number",
    state: Annotated[str | None, typer.Option(help="Only trials in this state.")] = None,
    where: Annotated[
        str | None,
        typer.Option("--filter", help="Only trials such as 'miou > .6 and optimizer.name = sgd'."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """List the trials of a study."""
    from itertools import islice

    from tuner.cli.show import tables
    from tuner.spec.states import TrialState

    client = connect(server, token)
    view = client.study(study)
    _warn(view)
    found = client.trials(
        study,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        state=_state(TrialState, state),
        filter=where,
    )
    tables.show(tables.trials(islice(found, limit), view.spec))


def pareto(
    study: StudyArgument,
    reference: Annotated[
        list[float] | None,
        typer.Option(help="Up to where volume counts; once per objective. Default: worst seen."),
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Show the trials that no other beats in every objective, and the front's hypervolume."""
    from tuner.cli.show import sentences, tables

    client = connect(server, token)
    view = client.front(study, reference=reference or None)
    tables.show(tables.front(client.pareto(study), view.objectives))
    typer.echo(sentences.hypervolume(view))


def pause(study: StudyArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Pause a study; running trials hand in a checkpoint."""
    _tell(connect(server, token).pause(study))


def resume(study: StudyArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Let a paused study go on."""
    _tell(connect(server, token).resume(study))


def cancel(study: StudyArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """End a study for good; its results stay."""
    _tell(connect(server, token).cancel(study))


def delete(
    study: StudyArgument,
    stop: Annotated[
        bool, typer.Option("--cancel", help="Also while its trials run: their work is lost.")
    ] = False,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Delete a study with all its trials; for some minutes it can be restored."""
    client = connect(server, token)
    found = client.study(study)
    client.delete(found.id, cancel=stop)
    typer.echo(f"study {found.name} is deleted; bring it back with `segtune restore {found.id}`")


def restore(study: StudyArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Bring back a study that was deleted some minutes ago."""
    _tell(connect(server, token).restore(study))


def _warn(study: Any) -> None:
    """What its owner should know, on standard error: standard output is the result's alone."""
    for warning in study.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _tell(study: Any) -> None:
    typer.echo(f"study {study.name} is {study.state.value}")


def _state(kind: Any, word: str | None) -> Any:
    """The state of that name. Raises BadParameter."""
    try:
        return kind(word) if word is not None else None
    except ValueError:
        valid = ", ".join(state.value for state in kind)
        raise typer.BadParameter(f"no state is called '{word}'; valid are: {valid}") from None
