"""Workers without a network or a GPU: they call the use cases directly."""

from tests.store.samples import spec
from tuner.service import assignments, leases, studies
from tuner.service.searches import Searches
from tuner.spec.messages import (
    Assignment,
    Capabilities,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
    Unfitness,
)
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyView
from tuner.spec.vitals import Vitals
from tuner.store.engine import Database

LEASE_SECONDS = 60.0
ANYTHING = Capabilities()  # of a worker that says nothing of itself


class Fleet:
    """Any number of workers of one database."""

    def __init__(self, db: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.db = db
        self.lease_seconds = lease_seconds
        self.searches = Searches()

    def submit(self, document: StudySpec | None = None) -> StudyView:
        """Queue a study."""
        view, _ = studies.submit(self.db, document or spec())
        return view

    def ask(
        self, worker: str = "w1", *, study: str | None = None, can: Capabilities = ANYTHING
    ) -> Assignment | None:
        """Ask for a trial; None if there is none."""
        request = LeaseRequest(worker=worker, study=study, capabilities=can)
        return assignments.take(
            self.db, request, lease_seconds=self.lease_seconds, searches=self.searches
        )

    def take(self, worker: str = "w1", *, study: str | None = None) -> Assignment:
        """Take a trial that must be there."""
        assignment = self.ask(worker, study=study)
        assert assignment is not None, "no trial to take"
        return assignment

    def report(
        self,
        held: Assignment,
        *steps: int,
        value: float = 0.5,
        loss: float = 1.0,
        data: str | None = None,
        seconds: float = 2.0,
    ) -> LeaseStatus:
        """Send the reports of these steps in one batch."""
        batch = ReportBatch(
            reports=tuple(
                Report(
                    step=step,
                    metrics={"miou": value, "train_loss": loss},
                    seconds=seconds,
                    data=data,
                )
                for step in steps
            )
        )
        return leases.report(
            self.db,
            held.lease,
            held.token,
            batch,
            lease_seconds=self.lease_seconds,
            searches=self.searches,
        )

    def heartbeat(self, held: Assignment, vitals: Vitals | None = None) -> LeaseStatus:
        """Renew the lease, and say how the worker is."""
        return leases.heartbeat(
            self.db, held.lease, held.token, lease_seconds=self.lease_seconds, vitals=vitals
        )

    def finish(self, held: Assignment, kind: OutcomeKind = OutcomeKind.COMPLETED) -> None:
        """End the lease."""
        leases.finish(self.db, held.lease, held.token, Outcome(kind=kind))

    def give_back(
        self, held: Assignment, kind: str = Unfitness.DATA, error: str = "root 'set' is not there"
    ) -> None:
        """End the lease because the worker's surroundings are broken."""
        outcome = Outcome(kind=OutcomeKind.YIELDED, error=error, error_kind=kind)
        leases.finish(self.db, held.lease, held.token, outcome)

    def train(self, held: Assignment, *, value: float = 0.5) -> None:
        """Report what is left of the trial's budget, and finish."""
        steps = range(held.last_step + 1, held.config.training.epochs + 1)
        self.report(held, *steps, value=value)
        self.finish(held)
