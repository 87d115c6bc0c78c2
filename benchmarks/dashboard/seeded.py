"""A study of any size, written into the tables at once: what thousands of trainings would leave."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert

from tuner.configs.resolve import resolve
from tuner.spec.metrics import derive
from tuner.spec.study import StudySpec
from tuner.store import reports
from tuner.store.engine import Database
from tuner.store.migrate import upgrade
from tuner.store.tables import Attempt, Report, Study, Trial, Worker

NAME = "camvid-street"
CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
           "pedestrian", "cyclist")  # fmt: skip
SHARES = (0.16, 0.23, 0.01, 0.28, 0.07, 0.11, 0.01, 0.03, 0.06, 0.02, 0.02)
RUNGS = (4, 12, 36)
RUNNING = WORKERS = 16
LEVELS = 500  # different evaluations; a training of this quality reports the nearest
_ROWS = 20_000  # reports written in one statement


def study(trials: int, epochs: int) -> StudySpec:
    """A conditional space, drawn at random and pruned at rungs."""
    return StudySpec.model_validate(
        {
            "name": NAME,
            "dataset": {"format": "synthetic", "classes": list(CLASSES), "size": [96, 128]},
            "base": {"model": {"encoder": "resnet18"}, "training": {"epochs": epochs}},
            "space": {
                "model.decoder": {"choice": ["ocr", "deeplabv3plus"]},
                "optimizer.name": {"choice": ["sgd", "adamw"]},
                "optimizer.lr": [
                    {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
                    {"float": [1e-5, 3e-3], "log": True, "when": {"optimizer.name": "adamw"}},
                ],
                "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
                "training.batch_size": {"choice": [4, 8, 16]},
                "augment.rotate": {"int": [0, 30]},
            },
            "search": {"sampler": "random", "pruner": "none", "trials": 10**6, "parallel": 10**4},
        }
    )


@dataclass
class Seeding:
    """Rows of a study's trials in order of ending, each a minute after the one before."""

    spec: StudySpec
    trials: int
    study_id: int = 0
    workers: list[int] = field(default_factory=list)
    epochs: int = 0
    random: Random = field(default_factory=lambda: Random(0))

    def __post_init__(self) -> None:
        self.full = self.spec.base.training.epochs
        self.now = datetime.now(UTC)
        self.began = self.now - timedelta(minutes=self.trials + 60)
        self.evaluations = [_evaluation(level / LEVELS) for level in range(LEVELS)]

    def rows(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
        """Trial, attempt and reports, for each trial; ids count from 1."""
        for number in range(self.trials):
            params = self._params()
            state, last = self._fate(number)
            quality = self._quality(params)
            found = [self._report(number, step, quality) for step in range(1, last + 1)]
            self.epochs += last
            ended = state not in {"running", "paused"}
            began = self.began + timedelta(minutes=number)
            yield (
                self._trial(number, params, state, found, began),
                {
                    "id": f"{number:032d}",
                    "trial_id": number + 1,
                    "number": 1,
                    "worker_id": self.workers[number % WORKERS],
                    "token_hash": "",
                    "started_at": began,
                    "expires_at": self.now + timedelta(days=1),
                    "ended_at": None if state == "running" else began + timedelta(minutes=50),
                    "outcome": {"running": None, "paused": "paused"}.get(
                        state, state if ended else ""
                    ),
                },
                found,
            )

    def _params(self) -> dict[str, Any]:
        draw = self.random
        name = draw.choice(["sgd", "adamw"])
        low, high = (1e-3, 1e-1) if name == "sgd" else (1e-5, 3e-3)
        return {
            "model.decoder": draw.choice(["ocr", "deeplabv3plus"]),
            "optimizer.name": name,
            "optimizer.lr": low * (high / low) ** draw.random(),
            "optimizer.weight_decay": 1e-6 * 1e4 ** draw.random(),
            "training.batch_size": draw.choice([4, 8, 16]),
            "augment.rotate": draw.randint(0, 30),
        }

    def _fate(self, number: int) -> tuple[str, int]:
        """State and last epoch: nine of ten get to the end or close to it, the last are running."""
        if number >= self.trials - RUNNING:
            return "running", 1 + number % (self.full - 1)
        chance = self.random.random() if number else 1.0
        if chance < 0.03:
            return "failed", self.random.randrange(self.full // 2)
        if chance < 0.04:
            return "cancelled", self.random.randrange(self.full)
        if chance < 0.05:
            return "paused", RUNGS[0]
        if chance < 0.25:
            return "pruned", min(self.full - 1, self.random.choice(RUNGS))
        return "completed", self.full

    def _quality(self, params: dict[str, Any]) -> float:
        good = 2e-2 if params["optimizer.name"] == "sgd" else 4e-4
        distance = abs(math.log10(params["optimizer.lr"] / good))
        lost: float = 0.2 * distance**1.5 + 0.002 * params["augment.rotate"]
        return max(0.15, 0.8 - lost)

    def _report(self, number: int, step: int, quality: float) -> dict[str, Any]:
        share = 1 - math.exp(-step / (self.full * 0.3))
        level = quality * share + self.random.gauss(0, 0.01)
        metrics, confusion = self.evaluations[min(LEVELS - 1, max(0, round(level * LEVELS)))]
        return {
            "trial_id": number + 1,
            "step": step,
            "study_id": self.study_id,
            "attempt": 1,
            "value": metrics["miou"],
            "metrics": metrics | {"train_loss": round(2.2 * math.exp(-step / 15) + 0.3, 5)},
            "confusion": confusion,
            "seconds": 14.0,
            "created_at": self.now,
        }

    def _trial(
        self,
        number: int,
        params: dict[str, Any],
        state: str,
        found: list[dict[str, Any]],
        began: datetime,
    ) -> dict[str, Any]:
        last = found[-1] if found else {"value": None, "metrics": {}, "step": 0}
        ended = state not in {"running", "paused"}
        config = resolve(self.spec.base, self.spec.dataset, params)
        return {
            "id": number + 1,
            "study_id": self.study_id,
            "number": number,
            "state": state,
            "source": "sampler" if number else "base",
            "params": params,
            "config": config.model_dump(mode="json"),
            "attrs": {},
            "step": last["step"],
            "epochs": self.full,
            "value": last["value"],
            "best_value": max((one["value"] for one in found), default=None),
            "metrics": last["metrics"],
            "feasible": True if state == "completed" else None,
            "attempts": 1,
            "verdict": {},
            "reason": "behind its peers" if state == "pruned" else "",
            "provenance": {},
            "seconds": 14.0 * len(found),
            "revision": self.epochs + number,
            "created_at": began,
            "started_at": began,
            "finished_at": began + timedelta(minutes=50) if ended else None,
            "study_epochs": self.epochs if ended else None,
            "study_seconds": 14.0 * self.epochs if ended else None,
        }


def fill(url: str, trials: int, epochs: int) -> None:
    """Make the tables and write one study of that many trials."""
    upgrade(url)
    db = Database(url)
    seeding = Seeding(study(trials, epochs), trials)
    with db.transaction() as session:
        row = Study(
            name=NAME, state="running", reason="", spec=seeding.spec.dump(), priority=50,
            weight=1.0, trial_count=trials, warnings={}, created_at=seeding.began,
            started_at=seeding.began,
        )  # fmt: skip
        workers = [
            Worker(
                name=f"gpu-{index}", capabilities={}, first_seen_at=seeding.began,
                last_seen_at=seeding.now,
            )
            for index in range(WORKERS)
        ]  # fmt: skip
        session.add_all([row, *workers])
        session.flush()
        seeding.study_id, seeding.workers = row.id, [worker.id for worker in workers]
        waiting: list[dict[str, Any]] = []
        for trial, attempt, found in seeding.rows():
            session.execute(insert(Trial), [trial])
            session.execute(insert(Attempt), [attempt])
            waiting += found
            if len(waiting) >= _ROWS:
                session.execute(insert(Report), waiting)
                waiting = []
        if waiting:
            session.execute(insert(Report), waiting)
        row.epochs, row.seconds = seeding.epochs, 14.0 * seeding.epochs
        row.event_seq = seeding.epochs + trials
    _analyze(db)
    db.dispose()


def _analyze(db: Database) -> None:
    """What a database does by itself in time: statistics, and on PostgreSQL the next ids."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        if db.engine.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence('trials', 'id'), max(id)) FROM trials"
            )


def _evaluation(quality: float) -> tuple[dict[str, float], bytes]:
    """Metrics and packed matrix of an evaluation: large classes are found better than thin ones."""
    random = Random(f"{quality}")
    confusion = tuple(tuple(_labelled(k, quality, random)) for k in range(len(CLASSES)))
    metrics = {name: round(value, 6) for name, value in derive(confusion, CLASSES).items()}
    return metrics, reports.pack(confusion)


def _labelled(index: int, quality: float, random: Random) -> list[int]:
    pixels = int(10_000_000 * SHARES[index])
    hit = int(pixels * min(0.99, max(0.02, quality * 0.8 + 0.4 * math.sqrt(SHARES[index]))))
    row = [0] * len(CLASSES)
    row[index] = hit
    for _ in range(4):
        other = random.choice([k for k in range(len(CLASSES)) if k != index])
        row[other] += (pixels - hit) // 4
    return row
