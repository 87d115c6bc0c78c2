"""Columns of the trial table: which there are, which are shown, and how each is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from api.dashboard.words import gettext as _
from api.dashboard.words import message
from tuner.service.trial_fields import TrialFields
from tuner.spec.metrics import MEASURED, MINIMIZED, metric_names, unknown_metric
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import TrialSummary
from tuner.wording import short_paths

ColumnSource = Literal["fact", "param", "metric", "objective"]
CellLook = Literal[
    "state", "value", "metric", "epochs", "setting", "duration", "time", "text", "why"
]


@dataclass(frozen=True, slots=True)
class TrialColumn:
    """One column: its name in the address, what it is called, and how its cells look."""

    name: str
    label: str
    look: CellLook
    source: ColumnSource = "fact"
    title: str = ""
    descending_first: bool = False
    position: int = 0  # of an objective

    @property
    def is_number(self) -> bool:
        """Whether its cells stand at the right."""
        return self.look not in {"state", "text", "why"}

    def of(self, trial: TrialSummary) -> Any:
        """What a trial has there, or None."""
        if self.source == "param":
            return trial.params.get(self.name)
        if self.source == "metric":
            return trial.metrics.get(self.name)
        if self.source == "objective":
            values = trial.values or ()
            return values[self.position] if len(values) > self.position else None
        return getattr(trial, self.name)


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """Columns of the menu under one heading."""

    title: str
    columns: tuple[TrialColumn, ...]


# Attributes of a trial: label, look, what the label means, whether large values come first.
_FACTS: Mapping[str, tuple[str, CellLook, str, bool]] = {
    "state": (message("state"), "state", "", False),
    "value_step": (message("at epoch"), "setting", message("The epoch of value and metrics"), True),
    "best_value": (message("best"), "metric", message("Best of any epoch"), True),
    "step": (message("epochs"), "epochs", message("Trained, of the full budget"), True),
    "seconds": (message("time"), "duration", message("Device time"), True),
    "worker": (message("worker"), "text", message("Which trains it, or trained it last"), False),
    "finished_at": (message("ended"), "time", "", True),
    "reason": (message("why"), "why", "", False),
    "source": (message("source"), "text", message("Where its params come from"), False),
    "attempts": (message("attempts"), "setting", message("How often a worker took it"), True),
    "feasible": (message("feasible"), "setting", message("Whether it keeps every bound"), True),
    "created_at": (message("created"), "time", "", True),
    "started_at": (message("started"), "time", "", True),
    "error_kind": (message("error kind"), "text", "", False),
    "data_version": (message("data version"), "text", message("Of the data set"), False),
}
_OTHERS = tuple(name for name in _FACTS if name != "state")
_AFTER = ("seconds", "worker", "finished_at", "reason")


def offered(fields: TrialFields, by: str) -> tuple[ColumnGroup, ...]:
    """Every column that a study's table can have, by what it is about."""
    spec = fields.spec
    known = dict.fromkeys((*metric_names(spec.dataset.classes), *fields.reported))
    metrics = [name for name in known if name not in MEASURED]
    measured = [name for name in MEASURED if spec.deployment is not None]
    groups = (
        ColumnGroup(_("Trial"), (_fact("state"), *_values(spec, by), *map(_fact, _OTHERS))),
        ColumnGroup(_("Params"), _params(spec)),
        ColumnGroup(_metrics_title(spec.objective), tuple(map(_metric, metrics))),
        ColumnGroup(_("Measured"), tuple(map(_metric, measured))),
    )
    return tuple(group for group in groups if group.columns)


def shown(fields: TrialFields, names: Sequence[str], by: str) -> tuple[TrialColumn, ...]:
    """The table's columns in their order: the usual ones, or those asked for that there are."""
    if not names:
        return usual(fields.spec, by)
    known = {column.name: column for group in offered(fields, by) for column in group.columns}
    known |= {column.name: column for column in usual(fields.spec, by)}
    found = (known.get(name) or _derived(fields, name) for name in names)
    return tuple(column for column in found if column is not None)


def usual(spec: StudySpec, by: str) -> tuple[TrialColumn, ...]:
    """The columns of a table when nobody has chosen."""
    more = [
        TrialColumn(one.metric, one.metric, "metric", "objective", position=place)
        for place, one in enumerate(spec.objectives)
        if place > 0
    ]
    return (
        _fact("state"),
        *_values(spec, by),
        _fact("value_step" if spec.objective.counts_best else "best_value"),
        *more,
        _fact("step"),
        *_params(spec),
        *map(_fact, _AFTER),
    )


def _metrics_title(objective: Objective) -> str:
    counts_best = objective.counts_best
    return _("Metrics of the epoch that counts") if counts_best else _("Metrics of the last epoch")


def _values(spec: StudySpec, by: str) -> tuple[TrialColumn, ...]:
    """The objective, after the metric that values are taken from in its place."""
    objective = spec.objective
    own = TrialColumn(
        name="value",
        label=objective.metric,
        look="metric" if by else "value",
        title=_("At the best epoch") if objective.counts_best else _("At the last epoch"),
        descending_first=objective.direction == "maximize",
    )
    if not by:
        return (own,)
    rises = by not in MINIMIZED
    title = _("What trials are ranked by, from their matrix")
    return (TrialColumn(by, by, "value", "metric", title, rises), own)


def _fact(name: str) -> TrialColumn:
    label, look, title, descends = _FACTS[name]
    said = _(title) if title else ""
    return TrialColumn(name, _(label), look, title=said, descending_first=descends)


def _params(spec: StudySpec) -> tuple[TrialColumn, ...]:
    shorts = short_paths(tuple(spec.space.root))
    return tuple(
        TrialColumn(path, short, "setting", "param", path) for path, short in shorts.items()
    )


def _metric(name: str) -> TrialColumn:
    return TrialColumn(
        name, name, "metric", "metric", MEASURED.get(name, ""), name not in MINIMIZED
    )


def _derived(fields: TrialFields, name: str) -> TrialColumn | None:
    """A metric that only matrices give, such as `recall.car`."""
    return None if unknown_metric(name, fields.spec.dataset.classes) else _metric(name)
