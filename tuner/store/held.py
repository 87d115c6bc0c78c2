"""Plain records of what a transaction has read of leases, trials and workers, without the ORM."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(slots=True)
class HeldAttempt:
    """A lease, as far as its holder may change it; columns of `attempts`."""

    id: str
    trial_id: int
    number: int
    worker_id: int
    token_hash: str
    expires_at: datetime
    renewed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    error_kind: str | None
    reason: str | None


@dataclass(slots=True)
class HeldTrial:
    """A trial that is leased, as far as reports and ends may change it; columns of `trials`."""

    id: int
    study_id: int
    number: int
    state: str
    source: str
    step: int
    epochs: int
    value: float | None
    value_step: int | None
    best_value: float | None
    metrics: dict[str, Any]
    feasible: bool | None
    attempts: int
    verdict: dict[str, Any]
    reason: str
    error: str | None
    error_kind: str | None
    provenance: dict[str, Any]
    seconds: float
    revision: int
    data_version: str | None
    threads: int | None
    started_at: datetime | None
    finished_at: datetime | None
    study_epochs: int | None
    study_seconds: float | None

    def __post_init__(self) -> None:
        """Read what is no JSON object as an empty one: its worker must be able to end the trial."""
        self.verdict, self.provenance = _object(self.verdict), _object(self.provenance)


def _object(stored: Any) -> dict[str, Any]:
    return stored if isinstance(stored, dict) else {}


class KnownWorker(NamedTuple):
    """A worker as it is stored."""

    id: int
    capabilities: dict[str, Any]
    unfit: dict[str, Any] | None
    drained_at: datetime | None


class Seen(NamedTuple):
    """A trial as a search sees it, without its reports."""

    number: int
    state: str
    source: str
    params: dict[str, Any]
    attrs: dict[str, Any]
    step: int
    epochs: int
    metrics: dict[str, Any]
    seconds: float
    error_kind: str | None
    data_version: str | None
