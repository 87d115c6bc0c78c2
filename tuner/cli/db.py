"""`segtune db`: bring the database to this version's schema, back it up, and look it over."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import StudyArgument, configured

if TYPE_CHECKING:
    from api.settings import Settings

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
        _say_older()
        raise typer.Exit(1)
    typer.echo("the database has this version's schema")


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; an earlier backup is replaced.")],
    url: Url = None,
) -> None:
    """Write the whole database to one file, while servers run."""
    from tuner.store import backups

    revision = backups.save(database_url(url), file)
    size = file.stat().st_size / 2**20
    typer.echo(f"{file}: {size:.1f} MiB at revision {revision}; artifacts are not in it")


def restore(
    file: Annotated[Path, typer.Argument(help="File that `segtune db backup` has written.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a database that is not empty.")
    ] = False,
    url: Url = None,
) -> None:
    """Let a backup take the place of the database; no server may run."""
    from tuner.store import backups, migrate

    revision = backups.restore(database_url(url), file, force=force)
    typer.echo(f"restored at revision {revision}")
    if revision != migrate.head():
        typer.echo("the schema is older than this version's: run `segtune db upgrade`")


def check(
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare the sizes of artifacts, and read none.")
    ] = False,
    url: Url = None,
) -> None:
    """Look for what is damaged or contradicts itself, while servers run.

    Exit code 1 if something is found.
    """
    from tuner.service.storage import opened
    from tuner.store import checks, migrate
    from tuner.wording import quantity

    settings = _settings(url)
    revision = migrate.revision(settings.database_url)
    if revision != migrate.head():
        _say_older()
        raise typer.Exit(1)
    typer.echo(f"revision {revision}, as this version has it")
    found = 0
    with opened(settings.database_url, settings.artifact_place) as stored:
        for finding in (
            *checks.contradictions(stored.db),
            *checks.files(stored.db, stored.artifacts, whole=not quick),
        ):
            found += 1
            typer.echo(finding)
    typer.echo(f"{quantity(found, 'finding')}" if found else "nothing is wrong")
    if found:
        raise typer.Exit(1)


def export_study(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="File to write, a zip.")],
    artifacts: Annotated[
        bool, typer.Option("--artifacts/--no-artifacts", help="With models and checkpoints.")
    ] = True,
    url: Url = None,
) -> None:
    """Write all of a study to one file, for another server's database."""
    from tuner.service import archives
    from tuner.service.storage import opened
    from tuner.store.migrate import require_current
    from tuner.wording import quantity

    settings = _settings(url)
    require_current(settings.database_url)
    with opened(settings.database_url, settings.artifact_place) as stored:
        found = archives.save(stored.db, stored.artifacts, study, file, artifacts=artifacts)
    size = file.stat().st_size / 2**20
    trials, files = quantity(found.trials, "trial"), quantity(found.files, "file")
    typer.echo(f"{file}: {size:.1f} MiB, study {found.study} with {trials} and {files}")


def import_study(
    file: Annotated[Path, typer.Argument(help="File that `segtune db export` has written.")],
    name: Annotated[
        str | None, typer.Option(help="Another name for it.", show_default=False)
    ] = None,
    url: Url = None,
) -> None:
    """Bring an exported study in, whole or not at all, from SQLite or PostgreSQL.

    One that was not over is paused.
    """
    from tuner.service import archives
    from tuner.service.storage import opened
    from tuner.store.migrate import require_current

    settings = _settings(url)
    require_current(settings.database_url)
    with opened(settings.database_url, settings.artifact_place) as stored:
        found = archives.load(stored.db, stored.artifacts, file, name=name)
    typer.echo(f"study {found.name} (id {found.id}) is {found.state}")


def database_url(url: str | None) -> str:
    """The database that a command means."""
    return _settings(url).database_url


def _settings(url: str | None) -> "Settings":
    from api.settings import Settings

    return configured(Settings, database_url=url)


def _say_older() -> None:
    typer.echo("the database has an older schema, or none: run `segtune db upgrade`")
