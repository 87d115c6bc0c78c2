"""A session that several processes have together: what the first is told holds for all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Report, Verdict
from tuner.training.process_group import ProcessGroup
from tuner.training.session import Session


class SharedSession(Session):
    """Passes everything on to the own session, and gives each answer of rank 0 to every rank."""

    def __init__(self, own: Session, group: ProcessGroup) -> None:
        self._own, self._group = own, group

    def started(self, epoch: int, steps_per_epoch: int, provenance: Mapping[str, Any]) -> None:
        """Pass it on."""
        self._own.started(epoch, steps_per_epoch, provenance)

    def report(self, report: Report) -> Verdict:
        """The verdict on the report of rank 0."""
        return self._group.agreed(self._own.report(report))

    def memory_held(self, mib: float) -> None:
        """Pass it on."""
        self._own.memory_held(mib)

    def should_yield(self) -> bool:
        """Whether rank 0 is asked to."""
        return self._group.agreed(self._own.should_yield())

    def heartbeat(self) -> None:
        """Pass it on."""
        self._own.heartbeat()

    def checkpoint_saved(self, path: Path, step: int) -> None:
        """Pass it on."""
        self._own.checkpoint_saved(path, step)

    def sheet_drawn(
        self, kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None
    ) -> None:
        """Pass it on."""
        self._own.sheet_drawn(kind, path, details, step)
