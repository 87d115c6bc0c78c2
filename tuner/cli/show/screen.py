"""What `segtune watch` draws on a terminal: pure functions from views to renderables."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.cli.show import sentences
from tuner.spec.views import StudyView, TrialSummary
from tuner.wording import duration, params, quantity, savings

STYLES = {
    "completed": "green",
    "pruned": "yellow",
    "failed": "red",
    "cancelled": "bright_black",
    "running": "cyan",
    "paused": "blue",
    "waiting": "white",
}
_BAR = 48
_ROWS = 16
_WIDTH = 16  # of a bar of epochs, in characters


def screen(study: StudyView, running: Sequence[TrialSummary], now: datetime) -> RenderableType:
    """The whole picture of a study: progress by state, best so far, running trials."""
    parts: list[RenderableType] = [
        _header(study, now),
        progress(study),
        Text(sentences.best(study)),
    ]
    parts += [Text(f"warning: {warning}", "yellow") for warning in study.warnings]
    if study.epochs_saved:
        parts.append(Text(f"{quantity(study.epochs, 'epoch')} trained, {savings(study)}", "dim"))
    if running:
        parts.append(_running(study, running))
    return Group(*parts)


def _header(study: StudyView, now: datetime) -> Text:
    text = Text.assemble((study.name, "bold"), "  ", (study.state.value, "cyan"))
    if study.started_at:
        took = (study.finished_at or now) - study.started_at
        text.append(f"  {duration(took.total_seconds())}", "dim")
    if study.reason:
        text.append(f"  {study.reason}", "red" if study.state.value == "failed" else "dim")
    if study.waiting_for:
        text.append(f"  waits: {study.waiting_for}", "yellow")
    return text


def progress(study: StudyView, width: int = _BAR) -> Text:
    """A bar of `width` cells in the colours of the trials' states, and the counts in words."""
    counts = study.counts.model_dump()
    whole = max(study.budget, study.counts.total, 1)
    text = Text()
    drawn = seen = 0
    for state, style in STYLES.items():
        seen += counts[state]
        cells = round(seen * width / whole) - drawn
        text.append("━" * cells, style)
        drawn += cells
    text.append("─" * (width - drawn), "bright_black")
    text.append(f"  {study.counts.ended}/{study.budget}  ")
    return text.append(sentences.counts(study), "dim")


def _running(study: StudyView, running: Sequence[TrialSummary]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for name in ("trial", "epoch", "", study.objective.metric, "worker"):
        table.add_column(name, no_wrap=True)
    # Only a column with a ratio gives way when the terminal is narrow.
    table.add_column("params", no_wrap=True, overflow="ellipsis", ratio=1)
    for trial in running[:_ROWS]:
        table.add_row(
            str(trial.number),
            f"{trial.step}/{trial.epochs}",
            _epochs(trial),
            sentences.number(trial.value),
            trial.worker or "",
            params(trial.params),
        )
    if len(running) > _ROWS:
        table.add_row("…", f"{len(running) - _ROWS} more")
    return table


def _epochs(trial: TrialSummary) -> Text:
    filled = min(_WIDTH, trial.step * _WIDTH // max(trial.epochs, 1))
    return Text.assemble(("━" * filled, "cyan"), ("─" * (_WIDTH - filled), "bright_black"))
