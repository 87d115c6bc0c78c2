"""The trainer's end of the pipes to its agent: trials and verdicts in, reports and news out."""

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tuner.background import duty
from tuner.spec.config import Section
from tuner.spec.deployment import Measured
from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Action, Report, Verdict
from tuner.training.session import Session
from workers.protocol import (
    INSTRUCTIONS,
    Costed,
    Finished,
    Heartbeat,
    Instruction,
    MemoryHeld,
    Reply,
    Reported,
    Saved,
    SheetDrawn,
    Start,
    Yield,
    line,
)

logger = logging.getLogger(__name__)
_HEARTBEAT_SECONDS = 1.0
_WORKING_SECONDS = 1e-4  # of processor time in a second tell work from waiting


class AgentChannel(Session):
    """The two pipes to the agent; a thread of its own reads, and leaves the process at the end."""

    def __init__(self, read: int, write: int, *, leave: Callable[[int], object] = os._exit) -> None:
        for number in (read, write):
            os.set_inheritable(number, False)
        self._input, self._output, self._leave = (
            os.fdopen(read, "rb"),
            os.fdopen(write, "wb"),
            leave,
        )
        self._writing = threading.Lock()
        self._starts: queue.SimpleQueue[Start] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self._yield = threading.Event()
        self._is_busy = False
        self._last_heartbeat = 0.0
        threading.Thread(target=self._read, name="channel", daemon=True).start()

    def starts(self) -> Iterator[Start]:
        """Trials to train, without end: the process ends with the agent's pipe."""
        while True:
            yield self._starts.get()

    def finish(self, finished: Finished) -> None:
        """Tell how the trial ended; the next one may come at once."""
        self._is_busy = False
        self.send(finished)

    def send(self, message: Section) -> None:
        """Tell the agent something."""
        with self._writing:
            self._output.write(line(message))
            self._output.flush()

    def report(self, report: Report) -> Verdict:
        """Tell the metrics of a step and wait for the verdict."""
        self.send(Reported(report=report))
        verdict = self._verdicts.get()
        if verdict.action is not Action.CONTINUE:
            logger.info("it is to %s: %s", verdict.action, verdict.reason)
        return verdict

    def measured(self, measured: Measured) -> Verdict:
        """Tell what the network costs and wait for the verdict."""
        self.send(Costed(measured=measured))
        return self._verdicts.get()

    def checkpoint_saved(self, path: Path, step: int) -> None:
        """Tell that a checkpoint lies on disk."""
        self.send(Saved(path=path, step=step))

    def sheet_drawn(
        self, kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None
    ) -> None:
        """Tell that a sheet of validation images lies on disk."""
        self.send(SheetDrawn(artifact=kind, path=path, details=details, step=step))

    def memory_held(self, mib: float) -> None:
        """Tell how much of the GPU's memory this process takes."""
        self.send(MemoryHeld(mib=mib))

    def heartbeat(self) -> None:
        """Tell, once a second at most, that a step was trained."""
        now = time.monotonic()
        if now - self._last_heartbeat >= _HEARTBEAT_SECONDS:
            self._last_heartbeat = now
            self.send(Heartbeat(stage="step"))

    def should_yield(self) -> bool:
        """Whether the agent has asked for an early end."""
        return self._yield.is_set()

    @contextmanager
    def loading(self, *, seconds: float = math.inf) -> Iterator[None]:
        """Send heartbeats while the process works: decoding a large data set takes its time.

        After so many seconds no more are sent, so that what never ends is taken for hanging.
        """
        done = threading.Event()
        watch = partial(self._heartbeat_while_working, done, time.monotonic() + seconds)
        with duty(watch, name="loading", stop=done.set):
            yield

    def _heartbeat_while_working(self, done: threading.Event, until: float) -> None:
        before = 0.0
        while not done.wait(_HEARTBEAT_SECONDS) and time.monotonic() < until:
            worked = time.process_time() - time.thread_time()
            if worked - before > _WORKING_SECONDS:
                self.send(Heartbeat(stage="load"))
            before = worked

    def _read(self) -> None:
        with self._input, self._output:
            for raw in self._input:
                self._take(INSTRUCTIONS.validate_json(raw))
            # The agent is gone, and nobody wants this trial from us any more; a library's own way
            # out may take seconds, with the device held all the while.
            self._leave(1 if self._is_busy else 0)

    def _take(self, instruction: Instruction) -> None:
        match instruction:
            case Start():
                self._is_busy = True
                self._last_heartbeat = 0.0
                self._yield.clear()
                self._starts.put(instruction)
            case Reply(verdict=verdict):
                self._verdicts.put(verdict)
            case Yield():
                self._yield.set()
