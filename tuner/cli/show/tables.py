"""Tables of studies, trials and plans, for a terminal and for a pipe."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from tuner.cli.show import sentences
from tuner.spec.access import TokenView
from tuner.spec.fleet import QueueView, WorkerView
from tuner.spec.study import Objective, StudySpec
from tuner.spec.versions import short
from tuner.spec.views import Plan, StudySummary, TrialSummary, TrialView
from tuner.wording import ago, duration, params, quantity

if TYPE_CHECKING:
    from tuner.training.data.inspection import DataReport

# Wide enough that nothing is cut where the output is read by a program.
_PIPE = 4000


def show(table: Table) -> None:
    """Print a table on standard output; without a terminal no cell is cut or wrapped."""
    # Names and reasons come from users: brackets in them are not markup.
    console = Console(markup=False, emoji=False)
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=_PIPE, markup=False, emoji=False)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def studies(found: Iterable[StudySummary], now: datetime) -> Table:
    """One row per study."""
    names = ("id", "name", "state", "trials", "running", "metric", "best", "gain", "created")
    table = _table(*names, "reason")
    for study in found:
        table.add_row(
            str(study.id),
            study.name,
            study.state.value,
            f"{study.counts.ended}/{study.budget}",
            str(study.counts.running),
            study.objective.metric,
            sentences.number(study.best_value),
            sentences.over_base(study),
            ago(study.created_at, now),
            sentences.standstill(study),
        )
    return table


def tokens(found: Iterable[TokenView], now: datetime) -> Table:
    """One row per token."""
    table = _table("name", "owner", "scopes", "state", "created", "expires", "last used")
    for token in found:
        table.add_row(
            token.name,
            token.owner,
            ", ".join(token.scopes),
            token.state,
            ago(token.created_at, now),
            f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
            ago(token.last_used_at, now) if token.last_used_at else "never",
        )
    return table


def trials(found: Iterable[TrialSummary], spec: StudySpec) -> Table:
    """One row per trial, with each objective."""
    shown = list(found)
    metric, *others = (objective.metric for objective in spec.objectives)
    several = len({trial.data_version for trial in shown} - {None}) > 1
    data = ("data",) if several else ()
    beside = "at epoch" if spec.objective.counts_best else "best epoch"
    table = _table(
        "trial",
        "state",
        "epochs",
        metric,
        beside,
        *others,
        "time",
        *data,
        "params",
        "reason",
    )
    for trial in shown:
        table.add_row(
            str(trial.number),
            trial.state.value,
            f"{trial.step}/{trial.epochs}",
            sentences.number(trial.value),
            _beside(trial, spec),
            *map(sentences.number, (trial.values or (None,) * (1 + len(others)))[1:]),
            duration(trial.seconds),
            *(short(trial.data_version) for _ in data),
            params(trial.params),
            sentences.why(trial),
        )
    return table


def _beside(trial: TrialSummary, spec: StudySpec) -> str:
    """What a value is to be seen with: the epoch that it is of, or the best of any epoch."""
    if not spec.objective.counts_best:
        return sentences.number(trial.best_value)
    return "" if trial.value is None else str(trial.value_step)


def trial(found: TrialView) -> Table:
    """One trial, a row per fact; its error text stands below the table."""
    table = _table("", "")
    table.add_row("study", found.study)
    table.add_row("state", found.state.value)
    table.add_row("epochs", f"{found.step}/{found.epochs}, {found.seconds:.0f} s")
    if reason := sentences.why(found):
        table.add_row("reason", reason)
    table.add_row("source", found.drawn_by or found.source.value)
    for path in sorted(found.params):
        table.add_row(path, str(found.params[path]))
    if found.value_step != found.step and found.value_step is not None:
        table.add_row("metrics", f"of epoch {found.value_step}, the best so far")
    for name, value in found.metrics.items():
        table.add_row(name, sentences.number(value))
    for attempt in found.attempt_history:
        ended = attempt.outcome or "still held"
        table.add_row(f"attempt {attempt.number}", f"{ended}, by {attempt.worker}")
    return table


def workers(found: Iterable[WorkerView], now: datetime) -> Table:
    """One row per worker, with what keeps it from training."""
    table = _table("worker", "state", "device", "busy with", "trials", "last seen", "unfit because")
    for worker in found:
        device = worker.capabilities.device
        table.add_row(
            worker.name,
            worker.state,
            device.name or device.kind,
            _busy(worker),
            str(worker.trials_done),
            ago(worker.last_seen_at, now),
            worker.unfit_reason or "",
        )
    return table


def _busy(worker: WorkerView) -> str:
    if worker.trial is None:
        return ""
    others = worker.running - 1
    more = f" and {quantity(others, 'other trial')}" if others > 0 else ""
    return f"{worker.study} {worker.trial}{more}"


def queue(found: QueueView) -> Table:
    """One row per study that is not over, in the order of the turns."""
    table = _table(
        "turn", "study", "priority", "running", "waiting", "paused", "to draw", "because"
    )
    for entry in found.entries:
        table.add_row(
            str(entry.place or ""),
            entry.study,
            str(entry.priority),
            f"{entry.running}/{entry.parallel}" if entry.parallel else str(entry.running),
            str(entry.waiting),
            str(entry.paused),
            str(entry.left),
            entry.reason,
        )
    return table


def front(found: Iterable[TrialSummary], objectives: Sequence[Objective]) -> Table:
    """One row per trial of a Pareto front, the best by the first objective on top."""
    table = _table(
        "trial", *(objective.metric for objective in objectives), "epochs", "time", "params"
    )
    rated = [(trial, trial.values) for trial in found if trial.values is not None]
    for trial, values in sorted(rated, key=lambda row: objectives[0].key(row[1][0])):
        table.add_row(
            str(trial.number),
            *map(sentences.number, values),
            f"{trial.step}/{trial.epochs}",
            duration(trial.seconds),
            params(trial.params),
        )
    return table


def plan(found: Plan) -> Table:
    """What a study would do, one row per fact."""
    table = _table("", "")
    spec = found.spec
    objectives = ", ".join(f"{each.direction} {each.metric}" for each in spec.objectives)
    if spec.objective.counts_best:
        objectives += f"; at each trial's best epoch by {spec.objective.metric}"
    deployed = spec.deployed
    rungs = ", ".join(str(rung) for rung in found.rungs) or "none"
    table.add_row("study", spec.name)
    table.add_row("data", f"{spec.dataset.format}, {len(spec.dataset.classes)} classes")
    table.add_row("objectives", objectives)
    if deployed is not None:
        table.add_row("deployment", f"{deployed}: measured by workers with such a device")
    table.add_row("trials", f"{found.trials}, up to {spec.search.parallel} at a time")
    table.add_row("sampler", found.sampler)
    table.add_row("pruner", f"{found.pruner}; compares trials at epochs: {rungs}")
    if spec.search.fidelity != "epochs":
        saved = {"data": "fewer images", "size": "smaller images"}[spec.search.fidelity]
        table.add_row("fidelity", f"{spec.search.fidelity}: each rung trains again on {saved}")
    for name, words in sentences.costs(found):
        table.add_row(name, words)
    for path, alternatives in spec.space.root.items():
        table.add_row(path, "\n".join(_range(each.model_dump_json()) for each in alternatives))
    for index, config in enumerate(found.examples):
        model, optimizer = config.model, config.optimizer
        example = (
            f"{model.decoder} on {model.encoder}, {optimizer.name} lr {optimizer.lr:.3g}, "
            f"batch {config.training.batch_size}, {quantity(config.training.epochs, 'epoch')}"
        )
        table.add_row("trial 0" if index == 0 else f"e.g. trial {index}", example)
    return table


def classes(found: "DataReport") -> Table:
    """One row per class of a data set."""
    table = _table("label", "class", "train share", "train images", "val share", "val images")
    for label, each in enumerate(found.classes):
        table.add_row(
            str(label),
            each.name,
            f"{each.train_share:.3%}",
            str(each.train_images),
            f"{each.val_share:.3%}",
            str(each.val_images),
        )
    return table


def _range(text: str) -> str:
    known = {key: value for key, value in json.loads(text).items() if value or key == "choice"}
    when = known.pop("when", {})
    words = " ".join(f"{key} {json.dumps(value)}" for key, value in known.items())
    asked = " and ".join(f"{path} = {_either(values)}" for path, values in when.items())
    return f"{words} when {asked}" if asked else words


def _either(values: list[object]) -> str:
    return " or ".join(str(value) for value in values)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    table.show_header = any(columns)
    return table
