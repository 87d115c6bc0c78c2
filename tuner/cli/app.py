"""The `segtune` command: names every command, and turns errors into messages and exit codes.

The composition root: the one place that may import everything. Command modules import only typer
at the top; what a command needs it imports when it runs, so that `segtune --help` is quick.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from tuner import logs
from tuner.cli import (
    audit,
    check_data,
    db,
    plugins,
    preview,
    serve,
    studies,
    token,
    trial,
    up,
    watch,
    worker,
    workers,
)
from tuner.cli.card import card
from tuner.cli.compress.prune import prune
from tuner.cli.compress.quantize import quantize
from tuner.cli.demo.command import demo
from tuner.cli.ensemble import ensemble
from tuner.cli.evaluate.command import evaluate
from tuner.cli.explain import explain_study
from tuner.cli.explain_image import explain_image
from tuner.cli.export import export
from tuner.cli.failures import explain
from tuner.cli.fleet import fleet
from tuner.cli.import_ import command as import_
from tuner.cli.init.command import init
from tuner.cli.limits import maintenance_app, owners_app
from tuner.cli.optuna_dashboard.command import optuna_dashboard
from tuner.cli.predict import predict
from tuner.cli.train.command import train
from tuner.errors import SegtuneError


class _Commands(TyperGroup):
    """A group of commands in which an error of ours is a message, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error leaves with the exit code of its kind."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (SegtuneError, OSError) as error:
            message, code = explain(error)
            if not logs.ends(message):
                typer.echo(message, err=True)
            raise typer.Exit(code) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands under the heading of their group, in the order of registration."""
        headings: dict[str, list[tuple[str, str]]] = {}
        width = formatter.width - 6 - max(len(name) for name in self.commands)
        for name, command in self.commands.items():
            heading = getattr(command, "rich_help_panel", None) or "Commands"
            headings.setdefault(heading, []).append((name, command.get_short_help_str(width)))
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


app = typer.Typer(
    name="segtune",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: without it every start would import all of rich
    help="Hyperparameter tuning for semantic segmentation.",
)
db_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="The database behind the server."
)
token_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Tokens: who is let in, and for what."
)
import_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Studies of other tools."
)

SERVICE = "Server and workers"
STUDY = "Studies"
FILES = "Files"
MODELS = "Models"

app.command(rich_help_panel=SERVICE)(demo)
app.command(rich_help_panel=SERVICE)(up.up)
app.command(rich_help_panel=SERVICE)(serve.serve)
app.command(rich_help_panel=SERVICE)(worker.worker)
app.command(rich_help_panel=SERVICE)(fleet)
app.command(rich_help_panel=SERVICE)(workers.workers)
app.command(rich_help_panel=SERVICE)(workers.queue)
app.command(rich_help_panel=SERVICE)(workers.drain)
app.command(rich_help_panel=SERVICE)(workers.undrain)
app.add_typer(db_app, name="db", rich_help_panel=SERVICE)
db_app.command()(db.upgrade)
db_app.command()(db.current)
db_app.command()(db.backup)
db_app.command()(db.restore)
db_app.command()(db.check)
db_app.command("export")(db.export_study)
db_app.command("import")(db.import_study)
app.add_typer(token_app, name="token", rich_help_panel=SERVICE)
token_app.command()(token.create)
token_app.command("list")(token.list_tokens)
token_app.command()(token.rotate)
token_app.command()(token.revoke)
app.command(rich_help_panel=SERVICE)(audit.audit)
app.add_typer(owners_app, name="owners", rich_help_panel=SERVICE)
app.add_typer(maintenance_app, name="maintenance", rich_help_panel=SERVICE)
app.add_typer(import_app, name="import", rich_help_panel=SERVICE)
import_app.callback()(import_.importing)
import_app.command()(import_.optuna)

app.command(rich_help_panel=STUDY)(studies.submit)
app.command(rich_help_panel=STUDY)(studies.plan)
app.command(rich_help_panel=STUDY)(watch.watch)
app.command(rich_help_panel=STUDY)(studies.best)
app.command("studies", rich_help_panel=STUDY)(studies.list_studies)
app.command("trials", rich_help_panel=STUDY)(studies.list_trials)
app.command(rich_help_panel=STUDY)(trial.trial)
app.command(rich_help_panel=STUDY)(trial.retry)
app.command(rich_help_panel=STUDY)(studies.pareto)
app.command("explain", rich_help_panel=STUDY)(explain_study)
app.command("optuna-dashboard", rich_help_panel=STUDY)(optuna_dashboard)
app.command(rich_help_panel=STUDY)(studies.pause)
app.command(rich_help_panel=STUDY)(studies.resume)
app.command(rich_help_panel=STUDY)(studies.cancel)
app.command(rich_help_panel=STUDY)(studies.delete)
app.command(rich_help_panel=STUDY)(studies.restore)

app.command("init", rich_help_panel=FILES)(init)
app.command("check-data", rich_help_panel=FILES)(check_data.check_data)
app.command(rich_help_panel=FILES)(preview.preview)
app.command(rich_help_panel=FILES)(train)
app.command("plugins", rich_help_panel=FILES)(plugins.plugins)

app.command(rich_help_panel=MODELS)(evaluate)
app.command("ensemble", rich_help_panel=MODELS)(ensemble)
app.command("explain-image", rich_help_panel=MODELS)(explain_image)
app.command(rich_help_panel=MODELS)(export)
app.command(rich_help_panel=MODELS)(predict)
app.command(rich_help_panel=MODELS)(card)
app.command(rich_help_panel=MODELS)(prune)
app.command(rich_help_panel=MODELS)(quantize)


@app.command(rich_help_panel=FILES)
def version() -> None:
    """Print the installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        typer.echo(f"segtune {installed('segtune')}")
    except PackageNotFoundError:
        typer.echo("segtune, not installed: running from its source tree")


def main() -> None:
    """Run the command line."""
    app(prog_name="segtune")


if __name__ == "__main__":
    main()
