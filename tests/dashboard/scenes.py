"""A study as workers would make it, through the services, with curves that look like training."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.dashboard.staging import staged
from tests.samples import TRAINING_SPACE
from tuner.configs import checks
from tuner.service import assignments, leases, studies
from tuner.service.searches import Searches
from tuner.spec.config import TrialConfig
from tuner.spec.messages import (
    Action,
    Assignment,
    Capabilities,
    Device,
    LeaseRequest,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
)
from tuner.spec.views import StudyView
from tuner.store.engine import Database

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "car", "cyclist")
_SHARES = (0.17, 0.24, 0.01, 0.3, 0.08, 0.12, 0.01, 0.06, 0.01)
LEASE_SECONDS = 3600.0


def document(
    name: str = "camvid-street", *, objectives: Any = None, **search: Any
) -> dict[str, Any]:
    """A study over street scenes."""
    return {
        "objectives": objectives or [{"metric": "miou"}],
        "name": name,
        "dataset": {"format": "synthetic", "classes": list(CLASSES), "size": [96, 128]},
        "base": {"model": {"encoder": "resnet18"}, "training": {"epochs": 12}},
        "space": {
            "model.decoder": {"choice": ["ocr", "deeplabv3plus"]},
            **TRAINING_SPACE,
        },
        "search": {"sampler": "random", "pruner": "none", "trials": 40, "parallel": 8, **search},
    }


@dataclass
class Scene:
    """One study in a database, and the workers that train it."""

    db: Database
    study: StudyView
    searches: Searches = field(default_factory=Searches)

    @classmethod
    def submit(cls, db: Database, name: str = "camvid-street", **search: Any) -> "Scene":
        """Queue a study."""
        view, _ = studies.submit(db, checks.parse(document(name, **search)))
        return cls(db, view)

    @classmethod
    def played(cls, db: Database, count: int, /, *, running: int = 0, **submitted: Any) -> "Scene":
        """What `submit` and `play` make; on an empty database it costs next to nothing."""
        return cls(db, _played(db, count, running, **submitted))

    def take(self, worker: str = "gpu-0") -> Assignment:
        """Lease a trial."""
        device = Device(kind="cuda", index=0, name="NVIDIA H100", memory_gb=79.6)
        capabilities = Capabilities(
            hostname="node-a", device=device, cpus=16, labels={"pool": "night"}
        )
        request = LeaseRequest(worker=worker, capabilities=capabilities, study=self.study.name)
        work = assignments.take(
            self.db, request, lease_seconds=LEASE_SECONDS, searches=self.searches
        )
        assert work is not None
        return work

    def report(self, work: Assignment, *steps: int) -> Action:
        """Report epochs; the verdict of the last."""
        reports = tuple(epoch(work.config, step) for step in steps)
        status = leases.report(
            self.db,
            work.lease,
            work.token,
            ReportBatch(reports=reports),
            lease_seconds=LEASE_SECONDS,
            searches=self.searches,
        )
        return status.verdict.action

    def finish(self, work: Assignment, kind: OutcomeKind, step: int = 0, **details: Any) -> None:
        """End the lease."""
        outcome = Outcome(kind=kind, step=step, **details)
        leases.finish(self.db, work.lease, work.token, outcome)

    def train(self, worker: str = "gpu-0", *, stop: int | None = None) -> Assignment:
        """One trial from lease to end; pruned after `stop` epochs when that is given."""
        work = self.take(worker)
        last = stop or work.config.training.epochs
        self.report(work, *range(1, last + 1))
        kind = OutcomeKind.PRUNED if stop else OutcomeKind.COMPLETED
        self.finish(work, kind, last, provenance=PROVENANCE)
        return work

    def play(self, trials: int, *, running: int = 0, seed: int = 0) -> "Scene":
        """Train many trials: some pruned, a few failed, the last `running` left in mid-training."""
        random = Random(seed)
        for index in range(trials):
            work = self.take(f"gpu-{index % 4}")
            epochs = work.config.training.epochs
            fate = random.random() if index else 1.0
            stop = random.choice((2, 4, 6)) if fate < 0.45 else epochs
            if fate > 0.94 and index:
                self.report(work, 1)
                error = "loss is nan at step 131"
                self.finish(work, OutcomeKind.FAILED, 1, error=error, error_kind="diverged")
                continue
            self.report(work, *range(1, stop + 1))
            kind = OutcomeKind.COMPLETED if stop == epochs else OutcomeKind.PRUNED
            self.finish(work, kind, stop, provenance=PROVENANCE)
        for index in range(running):
            work = self.take(f"gpu-{index}")
            self.report(work, *range(1, 2 + index * 3 % 10))
        return self


@staged
def _played(db: Database, count: int, running: int, /, **submitted: Any) -> StudyView:
    return Scene.submit(db, **submitted).play(count, running=running).study


PROVENANCE = {
    "segtune": "0.1.0",
    "data": {"fingerprint": "5f0c1e7a9b", "train": 367, "val": 101},
    "device": {"kind": "cuda", "name": "NVIDIA H100", "driver": "580.95"},
    "versions": {"python": "3.11.7", "torch": "2.15.0"},
    "micro_batch": 8,
}


def epoch(config: TrialConfig, step: int) -> Report:
    """What an epoch of this config reports: better near a good learning rate, rising, noisy."""
    good = 2e-2 if config.optimizer.name == "sgd" else 4e-4
    distance = abs(math.log10(config.optimizer.lr / good))
    random = Random(f"{config.seed}-{config.optimizer.lr}-{step}")
    height = max(0.12, 0.63 - 0.16 * distance**1.5 + (0.02 if config.model.decoder == "ocr" else 0))
    share = 1 - math.exp(-step / (config.training.epochs * 0.3))
    quality = height * share + random.gauss(0, 0.006)
    confusion = [_row(index, quality, random) for index in range(len(CLASSES))]
    total = [sum(column) for column in zip(*confusion, strict=True)]
    iou = [row[k] / (sum(row) + total[k] - row[k]) for k, row in enumerate(confusion)]
    metrics = {
        "miou": sum(iou) / len(iou),
        "iou.worst": min(iou),
        "pixel_accuracy": sum(row[k] for k, row in enumerate(confusion)) / sum(total),
        **{f"iou.{name}": value for name, value in zip(CLASSES, iou, strict=True)},
        "train_loss": 2.2 * math.exp(-step / 5) + 0.4 * (1 - quality),
        "lr": config.optimizer.lr * (1 - (step - 1) / config.training.epochs) ** 0.9,
    }
    rows = tuple(map(tuple, confusion))
    return Report(step=step, metrics=metrics, confusion=rows, seconds=14.0 + random.random())


def _row(index: int, quality: float, random: Random) -> list[int]:
    """Counts of one label: large classes are found better than thin ones."""
    pixels = int(1_000_000 * _SHARES[index])
    hit = min(0.99, max(0.02, quality * 0.8 + 0.55 * math.sqrt(_SHARES[index])))
    row = [0] * len(CLASSES)
    row[index] = int(pixels * hit)
    for _ in range(4):
        other = random.choice([k for k in range(len(CLASSES)) if k != index])
        row[other] += (pixels - int(pixels * hit)) // 4
    return row
