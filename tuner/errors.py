"""Every error that segtune raises on purpose, as one tree.

SegtuneError
├── InvalidInput             what was given cannot be used: a value, a flag, a cursor, a setting
│   └── InvalidSpec          a study or a config says something impossible
│       └── UnknownComponent a name that no component file carries
├── Malformed                a text or body cannot be read as what it should be
├── NotFound                 no such study, trial, worker, lease or artifact
├── Conflict                 the thing exists, but not in a state that allows this
│   ├── LeaseLost            the worker's right to this trial has ended
│   ├── IllegalMove          a state may not follow from another
│   ├── UploadMoved          the rest of an upload begins elsewhere than its bytes end
│   ├── UploadBusy           another request still writes the same upload
│   ├── ReadOnly             this view of the store changes nothing
│   └── Unreadable           this release cannot read a stored document
│       └── NewerDocument    a later release wrote it
├── Unauthorized             no token, or a wrong one
├── Forbidden                the caller is known, and may not do this
├── StorageError             the database or the artifact folder did not do its part
│   ├── DamagedArtifact      the bytes of a stored file are not those that were stored
│   ├── DigestMismatch       the bytes that came are not the bytes that were announced
│   └── StorageFull          the disk under the database or the artifact folder takes no more
├── TooLarge                 a body or a file is larger than is taken
├── DataError                the data set is missing, unreadable or mislabelled
│   └── DataUnavailable      its files are not there, or cannot be read, on this machine
├── TrainingError            a trial cannot go on
│   ├── Diverged             loss or weights are no longer finite
│   ├── OutOfMemory          the device cannot hold even the smallest part of a batch
│   ├── CheckpointMismatch   a checkpoint belongs to another config or version
│   │   └── DataChanged      it was trained on other data than there are now
│   └── WeightsUnavailable   published weights cannot be had on this machine
├── PackageMissing           a package of an extra is not installed on this machine
├── EngineError              the engine that a fleet's workers run on did not do its part
└── ServerError              the client got an answer that it cannot work with
    ├── UnsupportedVersion   server and worker are of releases that do not understand each other
    └── ServerUnreachable    the client got no answer at all
        ├── ServerFailing    it got an answer, but not the one that was asked for
        ├── ServerFull       the server's disk takes no more
        └── ServerBusy       the server wants to be asked less often

A message names the thing, the value seen, what was allowed, and what to do.
HTTP status codes are not known here: `api.errors` holds that table.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SegtuneError(Exception):
    """Root of all errors that segtune raises on purpose."""


Location = tuple[str | int, ...]  # keys and positions from the top of a document down


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a submitted document: where it stands and what to do about it.

    `source` is where in a text that is: `line 3, column 5`, or `study.yaml:3:5`.
    """

    location: Location
    message: str
    source: str = ""

    def __str__(self) -> str:
        """Give `study.yaml:3:5: space.optimizer.lr: message`."""
        where = ".".join(str(part) for part in self.location)
        return ": ".join(part for part in (self.source, where, self.message) if part)


class InvalidInput(SegtuneError):
    """What was given cannot be used; carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class InvalidSpec(InvalidInput):
    """A study or a config says something impossible."""


class UnknownComponent(InvalidSpec):
    """A name that no component file of its kind carries."""


class Malformed(SegtuneError):
    """A text or body cannot be read as what it should be; line and column count from 1."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        self.message, self.line, self.column = message, line, column
        where = f"line {line}, column {column}: " if line is not None else ""
        super().__init__(where + message)


class NotFound(SegtuneError):
    """No such study, trial, worker, lease or artifact."""


class Conflict(SegtuneError):
    """The thing exists, but not in a state that allows this."""


class LeaseLost(Conflict):
    """The worker's right to this trial has ended; it must drop the work."""


class IllegalMove(Conflict):
    """A state may not follow from another."""


class UploadMoved(Conflict):
    """The rest of an upload begins elsewhere than its bytes end, which is at `offset`."""

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(message)


class UploadBusy(Conflict):
    """Another request still writes the same upload."""


class ReadOnly(Conflict):
    """This view of the store changes nothing."""


class Unreadable(Conflict):
    """This release cannot read a stored document."""


class NewerDocument(Unreadable):
    """A later release wrote the stored document."""


class Unauthorized(SegtuneError):
    """No token, or a wrong one."""


class Forbidden(SegtuneError):
    """The caller is known, and may not do this."""


class StorageError(SegtuneError):
    """The database or the artifact folder did not do its part."""


class DigestMismatch(StorageError):
    """The bytes that came are not the bytes that were announced."""


class DamagedArtifact(StorageError):
    """The bytes of a stored file are not those that were stored."""


class StorageFull(StorageError):
    """The disk under the database or the artifact folder takes no more."""


class TooLarge(SegtuneError):
    """A body or a file is larger than is taken."""


class DataError(SegtuneError):
    """The data set is missing, unreadable or mislabelled."""


class DataUnavailable(DataError):
    """The data set's files are not there, or cannot be read, on this machine: another may do."""


class TrainingError(SegtuneError):
    """A trial cannot go on."""


class Diverged(TrainingError):
    """Loss or weights are no longer finite."""


class OutOfMemory(TrainingError):
    """The device cannot hold even the smallest part of a batch."""


class CheckpointMismatch(TrainingError):
    """A checkpoint belongs to another config or version."""


class DataChanged(CheckpointMismatch):
    """A checkpoint or a result was made with other data than there are now."""


class WeightsUnavailable(TrainingError):
    """Published weights cannot be had on this machine: another may do."""


class PackageMissing(SegtuneError):
    """A package of an extra is not installed on this machine, or does not load."""


class EngineError(SegtuneError):
    """The engine that a fleet's workers run on did not do its part; that may pass."""


class ServerError(SegtuneError):
    """The client got an answer that it cannot work with."""


class ServerUnreachable(ServerError):
    """The client got no answer at all."""


class ServerFailing(ServerUnreachable):
    """The server, or a proxy before it, failed or gave another answer; that may pass."""


class ServerBusy(ServerUnreachable):
    """The server wants to be asked less often: again in so many seconds."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        self.seconds = seconds
        super().__init__(message)


class ServerFull(ServerUnreachable):
    """The server's disk takes no more; that passes when somebody makes room."""


class UnsupportedVersion(ServerError):
    """Server and worker are of releases that do not understand each other."""
