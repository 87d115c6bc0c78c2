"""Drives the trainer through one trial: takes its messages, and tells it what the server said."""

import logging
import threading
from collections.abc import Callable

from tuner.errors import SegtuneError
from tuner.spec.deployment import Measured
from tuner.spec.messages import Action, Outcome, OutcomeKind, Report, Verdict
from workers.limits import Limits
from workers.outbox import Outbox
from workers.outcomes import apply_verdict, crashed, hung, trained
from workers.process import Exited, LeaseEnded, TrainerEvent, TrainerProcess, VerdictEvent
from workers.protocol import (
    Costed,
    Finished,
    Heartbeat,
    Reply,
    Reported,
    Saved,
    SheetDrawn,
    Start,
    Yield,
)
from workers.slots import Stay

logger = logging.getLogger(__name__)


class TrainerDriver:
    """Runs in the agent's main thread, from `Start` to the outcome."""

    def __init__(
        self,
        stay: Stay,
        outbox: Outbox,
        trainer: TrainerProcess,
        *,
        stop: threading.Event,
        limits: Limits,
        show: Callable[[SheetDrawn], None] = lambda drawn: None,
    ) -> None:
        """`show` gets sheets of validation images."""
        assignment = stay.assignment
        self._stay, self._show = stay, show
        self._assignment, self._outbox, self._trainer = assignment, outbox, trainer
        self._stop, self._limits = stop, limits
        self._log_start = trainer.log_size()
        self._verdict: Verdict | None = None
        self._has_stepped = False
        self._deadline = float("inf")
        self._name = f"{assignment.study}/{assignment.trial}"

    def run(
        self,
        start: Start,
        *,
        judge: Callable[[Report | Measured], Verdict],
        offer: Callable[[Saved], None],
    ) -> Outcome:
        """Train; `judge` answers reports and what the network costs, `offer` gets checkpoints."""
        self._trainer.send(start)
        self._note_progress()
        while True:
            if self._stop.is_set():
                self._obey(Verdict(action=Action.YIELD, reason="the worker shuts down"))
            match self._next_event():
                case Reported(report=report):
                    self._trainer.send(Reply(verdict=judge(report)))
                    self._note_progress()
                case Costed(measured=measured):
                    self._trainer.send(Reply(verdict=judge(measured)))
                    self._note_progress()
                case Saved() as saved:
                    self._note_progress()
                    offer(saved)
                case None if self._limits.clock() <= self._deadline:
                    continue
                case event:
                    if outcome := self._handle(event):
                        return apply_verdict(outcome, self._verdict)

    def _next_event(self) -> TrainerEvent | None:
        event = self._trainer.next_event(self._limits.tick)
        self._stay.watch(event, self._trainer.resident_mib)
        return event

    def log_tail(self, limit: int = 4_000) -> str:
        """The last `limit` bytes that the trainer has put out during this trial."""
        return self._trainer.log_tail(self._log_start, limit)

    def _handle(self, event: TrainerEvent | None) -> Outcome | None:
        match event:
            case None:
                return self._silent()
            case Exited():
                return self._exited(event)
            case SheetDrawn():
                self._show(event)
            case Finished():
                return trained(event, self._assignment.config)
            case Heartbeat(stage=stage):
                self._has_stepped = stage == "step"
                self._note_progress()
            case VerdictEvent(lease=self._assignment.lease, verdict=verdict):
                self._obey(verdict)
            case LeaseEnded(lease=self._assignment.lease, error=error):
                self._drop(error)
        return None

    def _note_progress(self) -> None:
        if self._verdict is None:
            self._deadline = self._limits.clock() + self._limits.hang

    def _obey(self, verdict: Verdict) -> None:
        """Ask the trainer to stop; only the first verdict counts."""
        if self._verdict is not None or verdict.action is Action.CONTINUE:
            return
        logger.info("%s is to %s: %s", self._name, verdict.action, verdict.reason)
        self._verdict = verdict
        self._deadline = self._limits.clock() + self._limits.stop_grace
        if self._has_stepped:
            self._trainer.send(Yield())
        else:
            self._trainer.kill()  # no step has been trained, and loading does not listen

    def _drop(self, error: SegtuneError) -> None:
        self._obey(Verdict(action=Action.STOP, reason=str(error)))
        self._deadline = self._limits.clock() + self._limits.drop_grace

    def _exited(self, exited: Exited) -> Outcome:
        if self._verdict is not None:
            return Outcome(kind=OutcomeKind.YIELDED, step=self._outbox.last_step)
        return crashed(str(exited), self._outbox.last_step, self.log_tail())

    def _silent(self) -> Outcome:
        if self._verdict is not None:
            self._trainer.kill()
            return Outcome(kind=OutcomeKind.YIELDED, step=self._outbox.last_step)
        tail, stack = self.log_tail(), self._trainer.stack()
        self._trainer.kill()
        return hung(self._limits.hang, self._outbox.last_step, stack=stack, tail=tail)
