"""The processes that train a trial beside the trainer, which is rank 0: started, watched, ended.

Each is of the trainer's process group, so that whoever kills the one kills all, and each leaves
when the pipe to its standard input closes. One that ends before the trial does ends the trial:
nobody can go on without its part of each batch.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from tuner.errors import SegtuneError
from tuner.logs import LogFormat
from tuner.spec.config import Section
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Outcome
from workers.process import Exited
from workers.protocol import Start, line

if TYPE_CHECKING:
    from tuner.training.process_group import ProcessGroup

logger = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "workers.rank")
_HOST = "127.0.0.1"
_GOING_SECONDS = 1.0  # in which others follow one that is gone
_REASON_SECONDS = 5.0  # for the reason of an error that only says that somebody is gone
_CLOSE_SECONDS = 5.0
# What is to be done when a rank is gone: with its outcome, or with None for one that said nothing.
CutOff = Callable[[Outcome | None], object]


class RankTask(Section):
    """What a rank trains, and where; `data` is the fingerprint that all must have."""

    start: Start
    data: str
    device: str
    threads: int | None
    cache: Path
    roots: tuple[Path, ...]
    log_format: LogFormat = "text"
    rank: int = 0
    port: int = 0

    def of(self, rank: int, port: int) -> "RankTask":
        """That of another rank, whose GPU is the next of those that the trainer sees."""
        device = f"cuda:{rank}" if self.device.startswith("cuda") else self.device
        return self.model_copy(update={"rank": rank, "port": port, "device": device})


class Gone(NamedTuple):
    """A rank that has ended: with an outcome, if it could say one."""

    rank: int
    code: int
    outcome: Outcome | None

    @property
    def has_failed(self) -> bool:
        """Whether it ended before it had done its part."""
        return self.code != 0


@contextmanager
def together(task: RankTask, cut_off: CutOff) -> Iterator["ProcessGroup"]:
    """The group of a trial's processes, all of them there; alone where the trial wants one.

    `cut_off` is called, in a thread, when a rank has ended and the trial has not.
    """
    from tuner.training.process_group import ProcessGroup, joined, meeting_place
    from tuner.training.ranks import Rank

    count = task.start.gpus
    if count == 1:
        yield ProcessGroup()
        return
    store = meeting_place(_HOST, count)
    others = OtherRanks([task.of(rank, store.port) for rank in range(1, count)], cut_off)
    try:
        # Before this rank leaves the group, and once more if it never came to be.
        with others.heard(), joined(Rank(0, count), task.device, store) as group, others.heard():
            yield group
    finally:
        others.close()


class OtherRanks:
    """All ranks but the first, from their start to their end."""

    def __init__(
        self, tasks: list[RankTask], cut_off: CutOff, command: Sequence[str] = COMMAND
    ) -> None:
        """`command` starts one; the number of its pipe is added."""
        self._cut_off, self._command = cut_off, command
        self._is_over, self._any_failed = threading.Event(), threading.Event()
        self._gone: SimpleQueue[Gone] = SimpleQueue()
        self._processes = [self._start(task) for task in tasks]
        threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """At an error, let a rank that is gone say why, and end the others.

        They must not see this rank go before: they would fail for it, and be taken for the reason.
        """
        try:
            yield
        except Exception as error:
            if not isinstance(error, SegtuneError):  # torch only says that somebody is gone
                self._await_reason()
            self.close()
            raise

    def _await_reason(self) -> None:
        """If an error came of a rank that is gone, stay until the process is cut off.

        A process that is being killed closes its connections before it has ended.
        """
        if not self._is_over.is_set() and self._any_failed.wait(_GOING_SECONDS):
            threading.Event().wait(_REASON_SECONDS)

    def close(self) -> None:
        """End all that are left."""
        self._is_over.set()
        for process in self._processes:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]  # it has a pipe
        for process in self._processes:
            try:
                process.wait(_CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, task: RankTask) -> "subprocess.Popen[bytes]":
        read, write = os.pipe()
        process = subprocess.Popen(
            [*self._command, str(write)],
            stdin=subprocess.PIPE,
            pass_fds=(write,),
        )
        os.close(write)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(line(task))
            process.stdin.flush()
        threading.Thread(
            target=self._wait_for, args=(process, task.rank, read), daemon=True
        ).start()
        return process

    def _wait_for(self, process: "subprocess.Popen[bytes]", rank: int, pipe: int) -> None:
        with os.fdopen(pipe, "rb") as words:
            said = words.read()
        outcome = None
        with suppress(ValidationError):
            outcome = Outcome.model_validate_json(said) if said else None
        gone = Gone(rank, process.wait(), outcome)
        if gone.has_failed:
            self._any_failed.set()
        self._gone.put(gone)

    def _watch(self) -> None:
        """Cut the trainer off once a rank has failed before it was asked to end.

        One that has ended well has done its part: what is left to be written is the first's.
        """
        gone = (self._gone.get() for _ in self._processes)
        first = next((each for each in gone if each.has_failed), None)
        if first is None or self._is_over.wait(_GOING_SECONDS):
            return
        found = [first]
        with suppress(Empty):
            while True:
                found.append(self._gone.get_nowait())
        cause = cause_of(found)
        logger.error("rank %d ended with %s", cause.rank, Exited(cause.code))
        self._cut_off(cause.outcome)


def cause_of(found: Sequence[Gone]) -> Gone:
    """Which of the ranks that went at about the same time, in this order, was the cause.

    One that was killed says nothing, and the others fail because it is gone, with torch's words.
    """

    def follows(gone: Gone) -> int:
        if gone.outcome is None:
            return 0
        return 2 if gone.outcome.error_kind == ErrorKind.EXCEPTION else 1

    return min((each for each in found if each.has_failed), key=follows)
