"""Child processes that are kept alive: started, restarted with a back-off, ended in order."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tuner.background import duty

logger = logging.getLogger(__name__)

_STEADY = 60.0  # seconds that a child must have run to count as healthy again
_LONGEST = 30.0
_TICK = 0.25
_GRACE = 45.0  # seconds that a child has to end by itself: a worker uploads its checkpoint
# Exit codes that another start does not change. A service is not meant to end at all, so that only
# a wrong setting, a refused token or a server of another release (2) keep it down.
_DONE = frozenset({0, 2})
SERVICE = frozenset({2})


def back_off(failures: int) -> float:
    """Seconds before the next start after so many failures in a row: 1, 2, 4, … 30."""
    return min(_LONGEST, 2.0 ** min(failures - 1, 10))


@dataclass(frozen=True, slots=True)
class Command:
    """A `segtune` command to run as a child process; a higher stage is ended before a lower."""

    name: str
    arguments: tuple[str, ...]
    stage: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    final: frozenset[int] = _DONE


@dataclass(slots=True)
class Child:
    """A command that was started: its process, and when it is to start again."""

    command: Command
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    due: float | None = None  # when to start again, if it is down
    is_done: bool = False
    is_proven: bool = False  # it did what it is for, so that its settings are right


class Supervisor:
    """Keeps commands running; at the end of `running` they are ended, stage by stage."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._is_killing = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Keep what is started running while the block lasts, and end it all at its end."""
        try:
            with duty(self._watch, name="supervisor", stop=self._leaving.set):
                yield self
        finally:
            self._end_all()

    def start(self, command: Command) -> None:
        """Start a command and keep it running."""
        with self._lock:
            self._children.append(Child(command, _spawn(command), time.monotonic()))
        logger.info("%s started", command.name)

    def prove(self, name: str) -> None:
        """Note that a command does what it is for: from now on it is started again however it ends.

        Its settings were right once, so that they are not what ended it.
        """
        with self._lock:
            for child in self._children:
                child.is_proven = child.is_proven or child.command.name == name

    def ended(self, name: str) -> int | None:
        """The exit code of a command that has ended for good, else None."""
        with self._lock:
            for child in self._children:
                if child.command.name == name and child.is_done:
                    return child.process.returncode
        return None

    @property
    def alive(self) -> tuple[str, ...]:
        """Names of the commands whose process runs now."""
        running = [child for child in self._children if child.process.poll() is None]
        return tuple(child.command.name for child in running)

    def wait(self, name: str) -> None:
        """Wait until a command has ended for good."""
        while self.ended(name) is None:
            time.sleep(_TICK)

    def kill_now(self) -> None:
        """Kill what is still being waited for; safe to call from a signal handler."""
        self._is_killing.set()

    def _end_all(self) -> None:
        """End every command: ask, wait, and after a while kill."""
        for stage in sorted({child.command.stage for child in self._children}, reverse=True):
            self._end([each.process for each in self._children if each.command.stage == stage])

    def _end(self, processes: "list[subprocess.Popen[bytes]]") -> None:
        running = [process for process in processes if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline or self._is_killing.wait(_TICK / 5):
                break
        for process in running:
            if process.poll() is None:
                logger.warning("process %d did not end when asked; killed", process.pid)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _watch(self) -> None:
        while not self._leaving.wait(_TICK):
            with self._lock:
                for child in self._children:
                    check(child, time.monotonic())


def check(child: Child, now: float) -> None:
    """Notice that a child has ended, and start it again when its back-off is over."""
    if child.is_done:
        return
    if child.due is not None:
        if now >= child.due:
            child.process, child.started, child.due = _spawn(child.command), now, None
            logger.info("%s started again", child.command.name)
        return
    code = child.process.poll()
    if code is None:
        return
    if code in child.command.final and not child.is_proven:
        child.is_done = True
        logger.info("%s ended with exit code %d", child.command.name, code)
        return
    child.failures = 1 if now - child.started >= _STEADY else child.failures + 1
    child.due = now + back_off(child.failures)
    wait = child.due - now
    logger.warning("%s died (exit code %d); next start in %.0f s", child.command.name, code, wait)


def _spawn(command: Command) -> "subprocess.Popen[bytes]":
    """Start the command in a process group of its own, so that Ctrl-C reaches only us."""
    output = command.log.open("ab") if command.log is not None else None
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "tuner.cli.app", *command.arguments],
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            process_group=0,
        )
    finally:
        if output is not None:
            output.close()
