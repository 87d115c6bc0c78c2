"""A fleet as an operator sees it: workers in every state, logs, lost trials, studies that wait."""

from datetime import UTC, datetime, timedelta

from tests.dashboard.scenes import LEASE_SECONDS, Scene
from tests.dashboard.staging import staged
from tuner.service import assignments, fleet, leases, upkeep
from tuner.service.searches import Searches
from tuner.spec.messages import (
    Assignment,
    Capabilities,
    Device,
    LeaseRequest,
    OutcomeKind,
    Report,
    ReportBatch,
)
from tuner.spec.views import StudyView
from tuner.spec.vitals import Usage, Vitals
from tuner.store.engine import Database
from tuner.store.tables import Attempt

VERSIONS = {"segtune": "0.0.9", "torch": "2.15.0"}
LOG = "".join(
    f"2026-11-27 06:{minute:02}:07 INFO    tuner.training.train: epoch {minute}: "
    f"miou {0.3 + minute / 300:.3f} images_per_second {410 + minute} data_wait 0.012\n"
    for minute in range(60)
)


def ask(db: Database, worker: str, capabilities: Capabilities) -> None:
    """Let a worker ask for a trial of no study, so that it is known and idle."""
    request = LeaseRequest(worker=worker, capabilities=capabilities, study="none")
    assignments.take(db, request, lease_seconds=LEASE_SECONDS, searches=Searches())


def fleet_at_work(db: Database) -> tuple[int, Scene]:
    """Six workers and three studies; gives the number of a trial that runs, and its scene."""
    number, study = _at_work(db)
    return number, Scene(db, study)


@staged
def _at_work(db: Database) -> tuple[int, StudyView]:
    scene = Scene.submit(db, parallel=4)
    scene.play(6)
    lost = scene.take("gpu-3")
    scene.report(lost, 1, 2)
    with db.transaction() as session:
        attempt = session.get_one(Attempt, lost.lease)
        attempt.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    upkeep.run(db)
    died = scene.take("gpu-1")
    error = "the trainer process ended with signal SIGKILL (out of memory?)\nlast output"
    scene.finish(died, OutcomeKind.CRASHED, 2, error=error, error_kind="crash")
    work = scene.take("gpu-0")
    steps = range(work.last_step + 1, 8)
    scene.report(work, *steps)
    train_fast(scene, work, 8, 412.7)
    beat(db, work, Usage(utilisation=0.97, memory_gb=71.3, memory_total_gb=79.6, process_gb=3.1))
    other = scene.take("gpu-1")
    scene.report(other, 1, 2, 3)
    beat(db, other, Usage(utilisation=0.64, memory_gb=78.9, memory_total_gb=79.6, process_gb=3.4))
    fleet.drain(db, "gpu-1")
    fleet.drain(db, "gpu-2")
    cpu = Device(kind="cpu", name="x86_64", memory_gb=31.3)
    ask(db, "cpu-node", Capabilities(hostname="cpu-node", device=cpu, cpus=8, versions=VERSIONS))
    urgent = Scene.submit(db, "lane-markings", parallel=1)
    urgent.report(urgent.take("gpu-3"), 1)
    Scene.submit(db, "aerial-roofs")
    return work.trial, scene.study


def beat(db: Database, work: Assignment, usage: Usage) -> None:
    """A heartbeat with all that a worker says of itself."""
    lease, token = work.lease, work.token
    leases.heartbeat(db, lease, token, lease_seconds=3600.0, vitals=Vitals(usage=usage, log=LOG))


def train_fast(scene: Scene, work: Assignment, step: int, speed: float) -> None:
    """One more epoch, with its pace."""
    metrics = {"miou": 0.55, "train_loss": 0.61, "images_per_second": speed, "data_wait": 0.012}
    batch = ReportBatch(reports=(Report(step=step, metrics=metrics, seconds=14.2),))
    leases.report(
        scene.db,
        work.lease,
        work.token,
        batch,
        lease_seconds=LEASE_SECONDS,
        searches=scene.searches,
    )
