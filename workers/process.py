"""The trainer's process as the agent sees it: started, spoken to, killed, its log read."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

from pydantic import ValidationError

from tuner.errors import SegtuneError
from tuner.logs import readable
from tuner.spec.config import Section
from tuner.spec.messages import Device, Verdict
from tuner.spec.vitals import Usage
from workers.protocol import MESSAGES, STACK_SIGNAL, Message, line
from workers.usage import UsageMeter

logger = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "workers.trainer")
_EOF_SECONDS = 5.0
_CLOSE_SECONDS = 5.0  # until a process that was asked to end is killed
_STACK_SECONDS = 2.0  # for a stack to come; a stopped process never answers
_STACK_PAUSE = 0.05  # without more of it, the stack is whole
_STACK_BYTES = 8_000


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended; `code` is negative for a signal."""

    code: int

    def __str__(self) -> str:
        """Say how it ended, in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        with suppress(ValueError):
            name = signal.Signals(-self.code).name
            return f"signal {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return f"signal {-self.code}"


@dataclass(frozen=True, slots=True)
class VerdictEvent:
    """The server said, outside an answer to a report, what to do with this lease."""

    lease: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The server will not take more for this lease."""

    lease: str
    error: SegtuneError


TrainerEvent = Message | Exited | VerdictEvent | LeaseEnded


class TrainerProcess:
    """One trainer process, from its start to its end; all that happens comes as an event."""

    def __init__(
        self,
        log_file: Path,
        *,
        command: Sequence[str] = COMMAND,
        env: Mapping[str, str],
        device: Device = Device(),  # noqa: B008  # frozen
    ) -> None:
        """Start it; it adds the numbers of its two pipes to the command."""
        self.log_file = log_file
        self._is_doomed = False
        self.inbox: SimpleQueue[TrainerEvent] = SimpleQueue()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        read_commands, write_commands = os.pipe()
        read_messages, write_messages = os.pipe()
        with log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, str(read_commands), str(write_messages)],
                pass_fds=(read_commands, write_messages),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the agent's to handle
                env=dict(env),
            )
        os.close(read_commands)
        os.close(write_messages)
        self._meter = UsageMeter(device, self._process.pid)
        self._commands = os.fdopen(write_commands, "wb")
        self._reader = threading.Thread(
            target=self._read, args=(os.fdopen(read_messages, "rb"),), daemon=True
        )
        self._reader.start()
        threading.Thread(target=self._watch, name="trainer", daemon=True).start()
        logger.info("trainer %d started", self._process.pid)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and was not told to end."""
        return not self._is_doomed and self._process.poll() is None

    def send(self, message: Section) -> None:
        """Send a command; a dead process says so by its `Exited`."""
        with suppress(BrokenPipeError, ValueError):
            self._commands.write(line(message))
            self._commands.flush()

    def next_event(self, seconds: float) -> TrainerEvent | None:
        """The next event, or None when there is none within that time."""
        with suppress(Empty):
            return self.inbox.get(timeout=seconds)
        return None

    def kill(self) -> None:
        """Kill the process and those that it has started."""
        self._is_doomed = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end by itself, and kill it if it does not."""
        self._is_doomed = True
        with suppress(BrokenPipeError):
            self._commands.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def stack(self) -> str:
        """Where each of its threads is, the main one last; empty when it does not answer.

        A process that does not know the signal yet dies of it: ask only what is to be killed.
        """
        start = size = self.log_size()
        self._process.send_signal(STACK_SIGNAL)
        for _ in range(round(_STACK_SECONDS / _STACK_PAUSE)):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STACK_PAUSE)
                break
            if start < size == self.log_size():
                break
            size = self.log_size()
        return self.log_tail(start, _STACK_BYTES)

    def usage(self) -> Usage:
        """How busy its device is, and the memory that it needs."""
        return self._meter.read()

    def resident_mib(self) -> float | None:
        """Main memory of its processes; None where that cannot be known."""
        return self._meter.resident_mib()

    def log_size(self) -> int:
        """Bytes of output so far."""
        return self.log_file.stat().st_size

    def log_tail(self, since: int = 0, limit: int = 4_000) -> str:
        """The last `limit` bytes of output after position `since`."""
        with self.log_file.open("rb") as file:
            file.seek(max(since, self.log_size() - limit))
            return readable(file.read(limit).decode("utf-8", errors="replace"))

    def _read(self, pipe: BinaryIO) -> None:
        with pipe:
            for raw in pipe:
                try:
                    self.inbox.put(MESSAGES.validate_json(raw))
                except ValidationError as error:
                    logger.warning("the trainer sent something that is not a message: %s", error)

    def _watch(self) -> None:
        code = self._process.wait()
        how = "as asked" if self._is_doomed else str(Exited(code))
        # Its own children may hold the pipe open, so its end is not waited for without limit.
        self.kill()
        self._reader.join(_EOF_SECONDS)
        logger.info("trainer %d ended: %s", self._process.pid, how)
        self.inbox.put(Exited(code))
