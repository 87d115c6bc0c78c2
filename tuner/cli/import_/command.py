"""`segtune import`: studies of other tools into the server's database."""

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.db import Url, database_url
from tuner.wording import quantity


def importing() -> None:
    """Bring studies of other tools into the server's database."""


def optuna(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY.YAML",
            exists=True,
            dir_okay=False,
            help="What the trials were: data set, objectives, base, space.",
        ),
    ],
    storage: Annotated[str, typer.Option(help="Optuna's database, or a journal file.")],
    study: Annotated[str, typer.Option(help="Name of the study in it.")],
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="NAME=config.path, for a param whose name is not a path; repeatable."
        ),
    ] = None,
    ignored: Annotated[
        list[str] | None, typer.Option("--ignore", help="A param to leave out; repeatable.")
    ] = None,
    url: Url = None,
) -> None:
    """Import an Optuna study as a finished one."""
    from tuner.cli.documents import blaming, read_study
    from tuner.cli.import_.optuna_source import load
    from tuner.configs import checks
    from tuner.search.optuna_import import imported_trials
    from tuner.service import imports
    from tuner.store.engine import Database
    from tuner.store.migrate import require_current

    document = read_study(file)
    with blaming(file):
        spec = checks.parse(document)
    source = load(storage, study)
    imported = imported_trials(source, spec, paths=_pairs(mapped or []), ignored=ignored or ())
    where = database_url(url)
    require_current(where)
    database = Database(where)
    try:
        found = imports.bring_in(database, spec, imported, origin=f"Optuna study '{study}'")
    finally:
        database.dispose()
    left = len(source.get_trials(deepcopy=False)) - len(imported)
    typer.echo(
        f"study {found.name} (id {found.id}) has "
        f"{quantity(len(imported), 'trial')}; {left} had not ended"
    )


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, sign, path = text.rpartition("=")
        if not (name and sign and path):
            raise typer.BadParameter(f"'{text}' is not NAME=config.path", param_hint="--map")
        pairs[name] = path
    return pairs
