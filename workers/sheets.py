"""Sheets of validation images on their way into the outbox, no more of them than a server wants."""

from collections.abc import Callable
from contextlib import suppress

from tuner.spec.kinds import ArtifactKind
from workers.outbox import FileEntry
from workers.protocol import SheetDrawn


class Sheets:
    """Hands on every sheet of predictions, unless they come thick and fast.

    Then one that a newer one overtakes is dropped; the last is always handed on. All else is handed
    on at once.
    """

    def __init__(
        self, put: Callable[[FileEntry], object], *, every: float, clock: Callable[[], float]
    ) -> None:
        """`every` is the shortest time between two sheets of predictions, in seconds."""
        self._put, self._every, self._clock = put, every, clock
        self._next = clock()
        self._held: SheetDrawn | None = None

    def take(self, drawn: SheetDrawn) -> None:
        """A sheet lies on disk."""
        if drawn.artifact is not ArtifactKind.PREDICTIONS:
            self._hand_on(drawn)
            return
        overtaken, self._held = self._held, drawn
        if overtaken is not None:
            with suppress(OSError):
                overtaken.path.unlink(missing_ok=True)
        if self._clock() >= self._next:
            self._next = self._clock() + self._every
            self.close()

    def close(self) -> None:
        """Hand on what is held back; nothing is after the trial has ended."""
        held, self._held = self._held, None
        if held is not None:
            self._hand_on(held)

    def _hand_on(self, drawn: SheetDrawn) -> None:
        self._put(
            FileEntry(
                artifact=drawn.artifact, path=drawn.path, step=drawn.step, details=drawn.details
            )
        )
