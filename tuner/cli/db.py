"""`segtune db`: bring the database to this version's schema, or ask whether it is."""

from typing import Annotated

import typer

from tuner.cli.options import configured

Url = Annotated[
    str | None,
    typer.Option("--url", help="Database; else SEGTUNE_DATABASE_URL.", show_default=False),
]


def upgrade(url: Url = None) -> None:
    """Bring the database to the schema of this version."""
    from tuner.store import migrate

    migrate.upgrade(database_url(url))
    typer.echo("the database has this version's schema")


def current(url: Url = None) -> None:
    """Say whether the schema is this version's.

    Exit code 1 if it is not.
    """
    from tuner.store import migrate

    if migrate.revision(database_url(url)) != migrate.head():
        typer.echo("the database has an older schema, or none: run `segtune db upgrade`")
        raise typer.Exit(1)
    typer.echo("the database has this version's schema")


def database_url(url: str | None) -> str:
    """The database that a command means."""
    from api.settings import Settings

    return configured(Settings, database_url=url).database_url
