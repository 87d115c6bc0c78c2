"""`segtune init`: look at a folder of images and masks and write a study for it."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.wording import quantity

if TYPE_CHECKING:
    from tuner.cli.init.void import Question


def _list_presets(names: list[str] | None) -> list[str] | None:
    """Print the presets and end, where `list` is asked for."""
    if names and "list" in names:
        from tuner.configs.presets import presets

        for preset in presets().values():
            typer.echo(f"{preset.name:<14} {preset.section:<10} {preset.summary}")
        raise typer.Exit
    return names


def init(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of images and masks.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("study.yaml"),
    name: Annotated[
        str | None, typer.Option(help="Name of the study; else the folder's.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            help="Search space for one section, again for another; `list` shows them.",
            callback=_list_presets,
            is_eager=True,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Look at a folder of images and write a study for it."""
    from tuner.cli.documents import write
    from tuner.cli.init.document import render
    from tuner.cli.init.look import look
    from tuner.configs.presets import choose
    from tuner.errors import Conflict

    presets = choose(preset or [])
    if out.exists() and not force:
        raise Conflict(f"{out} exists; choose another with -o, or write over it with --force")
    resolved, here = folder.resolve(), Path.cwd().resolve()
    is_below = resolved.is_relative_to(here)
    root = resolved.relative_to(here).as_posix() if is_below else resolved.as_posix()
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", name or resolved.name).strip("-._") or "study"
    proposal = look(folder, _named(label[:90]), root, _asking())
    write(out, render(proposal, presets))
    for note in proposal.notes:
        typer.echo(note)
    typer.echo(
        f"wrote {out}: {len(proposal.classes)} classes, {quantity(proposal.epochs, 'epoch')}"
    )
    typer.echo(f"submit it with `segtune submit {out} --watch`")
    if not is_below:
        typer.echo(f"start workers with --data-root {resolved}")


def _named(label: str) -> str:
    """The name, with a word before a number, because numbers are ids of studies."""
    from tuner.spec import yaml_core

    return f"study-{label}" if yaml_core.is_number(label) else label


def _asking() -> "Question":
    """Questions where a person sits at a terminal; elsewhere the answer is always 'no'."""
    from tuner.cli.init.labels import never

    if not _is_terminal():
        return never
    return lambda question: typer.confirm(question, default=False)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
