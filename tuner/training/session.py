"""What a training loop reports to its caller, and what it asks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Report, Verdict


class Session:
    """The other side of `train`; as it stands it wants nothing and says `continue` to everything.

    The loop calls these in its own thread, in this order: `started` once, then `should_yield`
    before and `heartbeat` after every optimizer step, and `memory_held` and `report` after every
    epoch that is a step.
    """

    def started(self, epoch: int, steps_per_epoch: int, provenance: Mapping[str, Any]) -> None:
        """Training begins, or goes on after `epoch`, with what its numbers depend on."""

    def report(self, report: Report) -> Verdict:
        """A step is scored; the verdict is obeyed, except after the last one."""
        return Verdict()

    def memory_held(self, mib: float) -> None:
        """The process takes so much of its GPU at most; said after each epoch that is reported."""

    def should_yield(self) -> bool:
        """Whether to save a checkpoint now and give the trial back."""
        return False

    def heartbeat(self) -> None:
        """An optimizer step was made, or a batch was scored."""

    def checkpoint_saved(self, path: Path, step: int) -> None:
        """A checkpoint of this step lies on disk."""

    def sheet_drawn(
        self, kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None
    ) -> None:
        """A sheet of validation images lies on disk; called from another thread, at any time."""
