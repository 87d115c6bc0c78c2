"""What filters, sort keys and columns of the trial table may name, and where it stands."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tuner.configs import paths
from tuner.spec.filters import write_value
from tuner.spec.hints import nearest
from tuner.spec.metrics import metric_names, split_metric, unknown_metric
from tuner.spec.space import Choice
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import StudySpec
from tuner.store.trial_cells import VALUE_STEP, Cell, From
from tuner.wording import short_paths


class ValueKind(StrEnum):
    """What a field's values are, as a message says it."""

    NUMBER = "a number"
    TEXT = "a text"
    TIME = "a time"
    FLAG = "true or false"
    ANY = "a value"


@dataclass(frozen=True, slots=True)
class TrialField:
    """Something that each trial has or lacks, and where it stands.

    `values` are all that there are, where that is known. A metric that was not reported may still
    be derived from the trial's last matrix.
    """

    name: str
    kind: ValueKind
    cell: Cell
    values: tuple[str, ...] = ()

    @property
    def is_metric(self) -> bool:
        """Whether it is reported, measured, or derived from matrices."""
        return self.cell.source is From.METRIC


def _column(name: str, kind: ValueKind, values: tuple[str, ...] = ()) -> TrialField:
    return TrialField(name, kind, Cell(From.COLUMN, name), values)


_ATTEMPT = {
    "worker": TrialField("worker", ValueKind.TEXT, Cell(From.WORKER)),
    "reason": TrialField("reason", ValueKind.TEXT, Cell(From.REASON)),
}
COLUMNS: Mapping[str, TrialField] = {
    "number": _column("number", ValueKind.NUMBER),
    "state": _column("state", ValueKind.TEXT, tuple(TrialState)),
    "value": _column("value", ValueKind.NUMBER),
    VALUE_STEP: _column(VALUE_STEP, ValueKind.NUMBER),
    "best_value": _column("best_value", ValueKind.NUMBER),
    "step": _column("step", ValueKind.NUMBER),
    "epochs": _column("epochs", ValueKind.NUMBER),
    "seconds": _column("seconds", ValueKind.NUMBER),
    "attempts": _column("attempts", ValueKind.NUMBER),
    "worker": _ATTEMPT["worker"],
    "source": _column("source", ValueKind.TEXT, tuple(TrialSource)),
    "feasible": _column("feasible", ValueKind.FLAG),
    "parent": _column("parent", ValueKind.NUMBER),
    "reason": _ATTEMPT["reason"],
    "error": _column("error", ValueKind.TEXT),
    "error_kind": _column("error_kind", ValueKind.TEXT),
    "data_version": _column("data_version", ValueKind.TEXT),
    "created_at": _column("created_at", ValueKind.TIME),
    "started_at": _column("started_at", ValueKind.TIME),
    "finished_at": _column("finished_at", ValueKind.TIME),
}
_OTHER_NAMES: Mapping[str, str] = {
    "trial": "number",
    "epoch": "step",
    "created": "created_at",
    "started": "started_at",
    "finished": "finished_at",
}


@dataclass(frozen=True, slots=True)
class TrialFields:
    """The fields of one study's trials; `reported` are metrics that workers named themselves."""

    spec: StudySpec
    reported: Collection[str] = ()

    def find(self, name: str) -> TrialField | None:
        """The field of a name: a column, a searched path, a metric, a short name, a config path.

        `params.` and `metrics.` before a name say which is meant where both are called so.
        """
        if name in COLUMNS or name in _OTHER_NAMES:
            return COLUMNS[_OTHER_NAMES.get(name, name)]
        if name.startswith("params."):
            return self._param(name.removeprefix("params.")) or self._named(name)
        if name.startswith("metrics."):
            return self.metric(name.removeprefix("metrics."))
        return self._named(name)

    def names(self) -> tuple[str, ...]:
        """Names to offer: columns, searched paths, and metrics that are reported."""
        metrics = dict.fromkeys((*metric_names(self.spec.dataset.classes), *self.reported))
        return (*COLUMNS, *self.spec.space.root, *metrics)

    def completions(self) -> dict[str, tuple[str, ...]]:
        """Names to offer, each with its values where these are known."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.names(), ())
        found |= {name: field.values for name, field in COLUMNS.items() if field.values}
        for path, alternatives in self.spec.space.root.items():
            choices = [one.choice for one in alternatives if isinstance(one, Choice)]
            said = [write_value(value) for choice in choices for value in choice]
            found[path] = tuple(dict.fromkeys(text for text in said if text))
        return found

    def missing(self, name: str) -> str:
        """What to say of a name that is none."""
        measure, what = split_metric(name)
        if measure and what:
            return unknown_metric(name, self.spec.dataset.classes) or ""
        searchable = paths.searchable()
        known = (
            *self.names(),
            *_OTHER_NAMES,
            *self._short(),
            *_last_parts(searchable),
            *searchable,
        )
        hint = nearest(name, known)
        if not hint.startswith("did you mean"):
            hint = nearest(name, self.names())
        return f"no column, param or metric is called '{name[:100]}'; {hint}"

    def _named(self, name: str) -> TrialField | None:
        space = self.spec.space.root
        if name in space:
            return self._param(name)
        if name in metric_names(self.spec.dataset.classes):
            return self.metric(name)
        return self._param(name) or self.metric(name) or _of_config(name)

    def _param(self, name: str) -> TrialField | None:
        path = name if name in self.spec.space.root else self._short().get(name)
        if path is None:
            return None
        return TrialField(path, _kind(self.spec, path), Cell(From.PARAM, path))

    def metric(self, name: str) -> TrialField | None:
        """The metric of a name, whatever else is called so."""
        if name not in self.reported and unknown_metric(name, self.spec.dataset.classes):
            return None
        return TrialField(name, ValueKind.NUMBER, Cell(From.METRIC, name))

    def _short(self) -> dict[str, str]:
        """Searched paths by their short names."""
        return {short: path for path, short in short_paths(tuple(self.spec.space.root)).items()}


def _of_config(name: str) -> TrialField | None:
    """A path of the config, or the last part of only one."""
    searchable = paths.searchable()
    path = _last_parts(searchable).get(name, name)
    if path not in searchable and not paths.is_term(path) and path != "seed":
        return None
    return TrialField(path, ValueKind.ANY, Cell(From.CONFIG, path))


def _last_parts(searchable: Sequence[str]) -> dict[str, str]:
    """Paths by their last part, where no other path ends with it."""
    parts = [path.rpartition(".")[2] for path in searchable]
    return {
        part: path for part, path in zip(parts, searchable, strict=True) if parts.count(part) == 1
    }


def _kind(spec: StudySpec, path: str) -> ValueKind:
    """What a searched path's values are, by its ranges; trials by hand may have others."""
    found = {kind for dimension in spec.space.root[path] for kind in _kinds(dimension)}
    return found.pop() if len(found) == 1 else ValueKind.ANY


def _kinds(dimension: object) -> Iterator[ValueKind]:
    if not isinstance(dimension, Choice):
        yield ValueKind.NUMBER
        return
    for value in dimension.choice:
        if isinstance(value, bool):
            yield ValueKind.FLAG
        elif isinstance(value, int | float):
            yield ValueKind.NUMBER
        else:
            yield ValueKind.TEXT if isinstance(value, str) else ValueKind.ANY
