"""Workers that measure networks, by a table of what each costs."""

from typing import Any

from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.service import assignments, leases
from tuner.spec.deployment import Measured, Measurements
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Assignment, Capabilities, Device, LeaseRequest, LeaseStatus
from tuner.spec.study import StudySpec
from tuner.store.engine import Database

LATENCIES = {"fcn": 10.0, "ocr": 20.0, "deeplabv3plus": 40.0}
DECODERS = {"model.decoder": {"choice": [*LATENCIES]}}
BOUND = [{"metric": "latency_ms", "max": 30}]


def deployed(name: str = "streets", **changes: Any) -> StudySpec:
    """A study over networks of which one is too slow; its base recipe is not."""
    content: dict[str, Any] = {
        "base": {"model": {"encoder": "resnet18"}, "training": {"epochs": 3}},
        "space": {**DECODERS, "optimizer.lr": {"float": [1e-3, 1e-1], "log": True}},
        "constraints": BOUND,
        "deployment": {"device": "cpu"},
        **changes,
    }
    return spec(name, **content)


def costs(latency: float, device: str = "abacus") -> Measured:
    """What a worker measures of a network with that latency."""
    return Measured(
        measurements=Measurements(
            latency_ms=latency,
            latency_p95_ms=1.1 * latency,
            throughput=1000 / latency,
            memory_mb=2 * latency,
            parameters=int(1000 * latency),
            macs=int(1e6 * latency),
        ),
        device=device,
    )


class MeasuringFleet(Fleet):
    """Workers of several kinds of device, which measure what they are asked to."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.measured: list[str] = []

    def ask_on(self, device: str, worker: str = "w1") -> Assignment | None:
        """Ask for a trial with a device of that kind."""
        capabilities = Capabilities(device=Device(kind=DeviceKind(device)))
        request = LeaseRequest(worker=worker, capabilities=capabilities)
        return assignments.take(
            self.db, request, lease_seconds=LEASE_SECONDS, searches=self.searches
        )

    def tell(self, held: Assignment, latency: float | None = None) -> LeaseStatus:
        """Say what a trial's network costs: as its decoder does, unless a latency is given."""
        decoder = held.config.model.decoder
        self.measured.append(decoder)
        found = costs(LATENCIES[decoder] if latency is None else latency)
        return leases.measure(self.db, held.lease, held.token, found, lease_seconds=LEASE_SECONDS)

    def work(self, worker: str = "w1", *, device: str = "cpu") -> int:
        """Take and train, or end as told, until there is nothing to take; gives the epochs."""
        epochs = 0
        while (held := self.ask_on(device, worker)) is not None:
            epochs += self.follow(held)
        return epochs

    def follow(self, held: Assignment, *, value: float = 0.5) -> int:
        """Do with a trial what a worker does with it; gives the epochs that were trained."""
        if held.measure is not None:
            outcome = self.tell(held).verdict.action.outcome
            if outcome is not None:
                self.finish(held, outcome)
                return 0
        self.train(held, value=value)
        return held.config.training.epochs - held.last_step
