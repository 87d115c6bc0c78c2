"""Studies and trials for store tests: documents to submit, and rows written without a service."""

from datetime import UTC, datetime
from typing import Any

from tests.samples import DATASET, SPACE
from tuner.configs.resolve import resolve
from tuner.spec.study import StudySpec
from tuner.store.tables import Study, Trial

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def spec(name: str = "streets", *, epochs: int = 3, **changes: Any) -> StudySpec:
    """A small study; `changes` replace top-level keys of its document."""
    document: dict[str, Any] = {
        "name": name,
        "dataset": {**DATASET},
        "base": {"training": {"epochs": epochs}},
        "space": SPACE,
        "search": {"sampler": "random", "pruner": "none", "trials": 8, "parallel": 8},
        **changes,
    }
    return StudySpec.model_validate(document)


def study_row(document: StudySpec | None = None, **changes: Any) -> Study:
    """A study's row as the service would write it; `changes` replace columns."""
    document = document or spec()
    columns: dict[str, Any] = {
        "name": document.name,
        "state": "running",
        "reason": "",
        "spec": document.dump(),
        "priority": document.priority,
        "weight": document.weight,
        "trial_count": 0,
        "confirmations": 0,
        "copies": 0,
        "warnings": {},
        "event_seq": 0,
        "epochs": 0,
        "seconds": 0.0,
        "created_at": NOW,
        "started_at": NOW,
    }
    return Study(**{**columns, **changes})


def trial_row(
    study: Study, number: int = 0, *, params: dict[str, Any] | None = None, **changes: Any
) -> Trial:
    """A trial's row of a study that has its id, waiting unless `changes` say otherwise."""
    document = StudySpec.model_validate(study.spec)
    config = resolve(document.base, document.dataset, params or {})
    columns: dict[str, Any] = {
        "study_id": study.id,
        "number": number,
        "state": "waiting",
        "source": "sampler",
        "params": params or {},
        "config": config.model_dump(mode="json"),
        "attrs": {},
        "step": 0,
        "epochs": document.base.training.epochs,
        "metrics": {},
        "attempts": 0,
        "verdict": {},
        "reason": "",
        "provenance": {},
        "seconds": 0.0,
        "revision": 0,
        "created_at": NOW,
    }
    return Trial(**{**columns, **changes})
