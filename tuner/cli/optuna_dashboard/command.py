"""`segtune optuna-dashboard`: Optuna's dashboard on a study of ours, for reading."""

from contextlib import suppress
from typing import Annotated

import typer

from tuner.cli.db import Url, database_url
from tuner.cli.options import StudyArgument

_OPEN_TO_OTHERS = (
    "warning: optuna-dashboard asks for no token: whoever reaches {host} can read every study of "
    "this database"
)


def optuna_dashboard(
    study: StudyArgument,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free.")
    ] = 8080,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the page in this machine's browser.")
    ] = False,
    url: Url = None,
) -> None:
    """Show a study in optuna-dashboard until Ctrl-C; it changes nothing."""
    from tuner.delivery.needs import require

    purpose = "segtune optuna-dashboard"
    dashboard = require("optuna_dashboard", purpose=purpose, extra="server,optuna-dashboard")
    from api.security import is_loopback
    from tuner import logs
    from tuner.cli.optuna_dashboard.server import listen
    from tuner.cli.optuna_dashboard.shown import StudyShown
    from tuner.spec.address import local_address
    from tuner.store.optuna_storage import OptunaStorage

    logs.configure("warning")
    where = database_url(url)
    storage = OptunaStorage(where)
    try:
        shown = StudyShown(
            dashboard.wsgi(storage),
            page=f"/dashboard/studies/{_study_id(where, study)}",
            only_loopback=is_loopback(host),
        )
        with listen(shown, host, port) as server, suppress(KeyboardInterrupt):
            address = local_address(host, server.server_port) + shown.page
            if not is_loopback(host):
                typer.echo(_OPEN_TO_OTHERS.format(host=host), err=True)
            typer.echo(f"optuna-dashboard shows {study} at {address}   Ctrl-C ends it")
            if browser:
                typer.launch(address)
            server.serve_forever()
    finally:
        storage.remove_session()


def _study_id(url: str, study: str) -> int:
    """The study's id by its name or id. Raises NotFound, Unreadable."""
    from tuner.service import overview
    from tuner.store.engine import Database

    db = Database(url)
    try:
        return overview.study_id(db, study)
    finally:
        db.dispose()
