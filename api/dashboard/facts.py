"""Figures that a page shows and no view holds: time left, what differs from trial 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuner.spec.space import same
from tuner.spec.states import StudyState
from tuner.spec.study import Objective
from tuner.spec.views import StudySummary, StudyView

_MIN_ENDED = 3
PACE = ("images_per_second", "data_wait", "peak_memory_mb", "gpu_utilisation")  # of an epoch
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path of two configs; None stands for a value that one of them does not have."""

    path: str
    value: Any
    base: Any
    changed: bool


def tone(objective: Objective, difference: float | None) -> str:
    """`good`, `bad` or empty: whether a difference goes the objective's way."""
    if not difference:
        return ""
    return "good" if objective.is_better(difference, 0.0) else "bad"


def seconds_left(study: StudySummary, now: datetime) -> float | None:
    """Time until the budget is spent at the pace so far; None where that would be a guess."""
    counts = study.counts
    if study.state is not StudyState.RUNNING or study.started_at is None or not counts.running:
        return None
    if counts.ended < _MIN_ENDED or counts.ended >= study.budget:
        return None
    elapsed = (now - study.started_at).total_seconds()
    return elapsed / counts.ended * (study.budget - counts.ended)


def until_deadline(study: StudyView, now: datetime) -> float | None:
    """Time until the study's hours since its first trial are over; None without such a limit."""
    hours = study.spec.search.max_wall_hours
    if hours is None or study.started_at is None:
        return None
    return max(0.0, hours * 3600 - (now - study.started_at).total_seconds())


def differences(values: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every path of either mapping, in the first one's order."""
    paths = [*values, *(path for path in base if path not in values)]
    return tuple(
        Difference(
            path,
            values.get(path),
            base.get(path),
            not same(values.get(path, _ABSENT), base.get(path, _ABSENT)),
        )
        for path in paths
    )


def events_address(study: StudyView) -> str:
    """Address of the stream of what happens after the study was read."""
    return f"/api/v1/studies/{study.id}/events?after={study.last_event}"
