"""What a worker has to tell the server, on disk until the server has it.

One folder per lease: `header.json` says whose it is, `entries.jsonl` holds reports, files and at
last the outcome, appended and synced one line at a time, and `files/` is the trial's own folder.
The server takes everything twice without harm, so nothing marks what is delivered: a folder is
deleted once its outcome has arrived, and sent again from the start otherwise.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError

from tuner.atomic import last_written, replacing
from tuner.spec.config import Section
from tuner.spec.deployment import Measured
from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Assignment, Outcome, Report
from workers.notices import Notices

logger = logging.getLogger(__name__)
ASIDE = "refused"
KEPT = 100  # files of what was refused
_BEGINNING = 3600.0  # seconds; far more than it takes to write a header, on any shared disk


class ReportEntry(Section):
    """The metrics of one step."""

    kind: Literal["report"] = "report"
    report: Report


class MeasuredEntry(Section):
    """What the trial's network costs where it is to run: before the first report."""

    kind: Literal["measured"] = "measured"
    measured: Measured


class FileEntry(Section):
    """A file to hand in, below the trial's folder."""

    kind: Literal["file"] = "file"
    artifact: ArtifactKind
    path: Path
    step: int | None = None
    details: SheetDetails | None = Field(default=None, exclude_if=lambda value: value is None)


class OutcomeEntry(Section):
    """How the attempt ended: the last entry."""

    kind: Literal["outcome"] = "outcome"
    outcome: Outcome


Entry = Annotated[
    ReportEntry | MeasuredEntry | FileEntry | OutcomeEntry, Field(discriminator="kind")
]
_ENTRIES: TypeAdapter[Entry] = TypeAdapter(Entry)


class OutboxHeader(Section):
    """Whose outbox it is."""

    server: str
    host: str
    lease: str
    token: str
    study: str
    trial: int
    last_step: int = 0


class Outbox:
    """The outbox of one lease, held by one living process."""

    def __init__(self, folder: Path, header: OutboxHeader, lock: FileLock, aside: Path) -> None:
        self.folder, self.header, self._lock, self._aside = folder, header, lock, aside
        self.entries: list[Entry] = list(_read(self._path))
        self._written = len(self.entries)
        self._size = self._path.stat().st_size if self._path.exists() else 0
        self.notices = Notices()

    @property
    def _path(self) -> Path:
        return self.folder / "entries.jsonl"

    @property
    def files(self) -> Path:
        """The folder that the trial trains in."""
        return self.folder / "files"

    @property
    def is_complete(self) -> bool:
        """Whether the outcome is in it."""
        return bool(self.entries) and isinstance(self.entries[-1], OutcomeEntry)

    @property
    def last_step(self) -> int:
        """The last step reported, here or before this lease."""
        steps = [entry.report.step for entry in self.entries if isinstance(entry, ReportEntry)]
        return max([self.header.last_step, *steps])

    def append(self, entry: Entry) -> None:
        """Write one entry; it is on disk when this returns.

        Where the disk takes no more it is kept in memory, and goes to disk with a later one.
        """
        self.entries.append(entry)
        try:
            self._write(self.entries[self._written :])
        except OSError as error:
            self.notices.trouble(
                f"{self._path} cannot be written ({error.strerror}): what goes to the server is "
                "kept in memory, and lost if this worker is killed; make room there"
            )
        else:
            self.notices.over(f"{self._path} is written again")

    def _write(self, entries: Sequence[Entry]) -> None:
        content = b"".join(entry.model_dump_json().encode() + b"\n" for entry in entries)
        with self._path.open("ab") as file:
            file.truncate(self._size)  # without what an earlier write left half done
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(content)
        self._written += len(entries)

    def set_aside(self, entries: Sequence[Entry], refusal: object) -> Path | None:
        """Keep what the server refuses for good in a file of its own; None if that fails."""
        header = self.header
        body = {
            "server": header.server,
            "study": header.study,
            "trial": header.trial,
            "lease": header.lease,
            "refusal": str(refusal),
            "entries": [entry.model_dump(mode="json") for entry in entries],
        }
        path = self._aside / f"{self.folder.name}.json"
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft:
                draft.write_text(json.dumps(body, indent=1), encoding="utf-8")
        except OSError as error:
            logger.warning("%s cannot be written: %s", path, error)
            return None
        with suppress(OSError):  # another worker may forget the same ones
            _forget_oldest(self._aside)
        return path

    def remove(self) -> None:
        """Delete the folder, when everything is delivered or nobody wants it any more."""
        _delete(self.folder, self._lock)

    def release(self) -> None:
        """Leave the folder to whoever opens it next."""
        self._lock.release()


def _forget_oldest(folder: Path) -> None:
    newest = sorted(folder.glob("*.json"), key=last_written, reverse=True)
    for path in newest[KEPT:]:
        path.unlink(missing_ok=True)


def create(
    root: Path, assignment: Assignment, *, server: str, host: str, aside: Path | None = None
) -> Outbox:
    """Start the outbox of a lease; what is refused is set aside in `aside`. Raises OSError."""
    name = hashlib.sha256(f"{server} {assignment.lease}".encode()).hexdigest()[:24]
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    header = OutboxHeader(
        server=server,
        host=host,
        lease=assignment.lease,
        token=assignment.token,
        study=assignment.study,
        trial=assignment.trial,
        last_step=assignment.last_step,
    )
    try:
        (folder / "files").mkdir(parents=True, exist_ok=True)
        with replacing(folder / "header.json", mode=0o600) as draft:  # the lease's token is in it
            draft.write_text(header.model_dump_json(), encoding="utf-8")
    except OSError:
        _delete(folder, lock)
        raise
    return Outbox(folder, header, lock, aside or root.parent / ASIDE)


def leftovers(root: Path, *, server: str, host: str, aside: Path | None = None) -> Iterator[Outbox]:
    """Outboxes for this server that dead agents of this host have left; each is locked by us.

    What an agent has left that died before it wrote whose outbox it was is deleted.
    """
    for folder in root.glob("*/"):
        _delete_nameless(folder)
    for path in sorted(root.glob("*/header.json")):
        try:
            box = _left(path, server, host, aside or root.parent / ASIDE)
        except Timeout:
            continue  # its agent is alive
        except (ValidationError, OSError) as error:
            logger.warning(
                "%s is not the header of an outbox; the folder stays as it is: %s", path, error
            )
        else:
            if box is not None:
                yield box


def _left(path: Path, server: str, host: str, aside: Path) -> Outbox | None:
    header = OutboxHeader.model_validate_json(path.read_bytes())
    lock = _lock(path.parent)
    if (header.server, header.host) == (server, host) and path.exists():
        return Outbox(path.parent, header, lock, aside)
    lock.release()
    return None


def _delete_nameless(folder: Path) -> None:
    """Delete an outbox without a header, unless it may be one that another agent just begins."""
    if last_written(folder) > time.time() - _BEGINNING or (folder / "header.json").exists():
        return
    with suppress(OSError):
        lock = _lock(folder)
        if (folder / "header.json").exists():
            lock.release()
        else:
            logger.info("%s is deleted: its agent died before it wrote a header", folder)
            _delete(folder, lock)


def _delete(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def _lock(folder: Path) -> FileLock:
    # Beside the folder, so that deleting the folder does not free the name for a second holder.
    lock = FileLock(folder.with_suffix(".lock"), thread_local=False)
    lock.acquire(timeout=0)
    return lock


def _read(path: Path) -> Iterator[Entry]:
    """Entries up to the first line that is not whole; a torn tail is cut off, it never counted."""
    if not path.exists():
        return
    good = 0
    data = path.read_bytes()
    for raw in data.splitlines(keepends=True):
        try:
            entry = _ENTRIES.validate_json(raw)
        except ValidationError:
            break
        if not raw.endswith(b"\n"):
            break
        good += len(raw)
        yield entry
    if good < len(data):
        logger.warning("%s: %d bytes of a torn write dropped", path, len(data) - good)
        os.truncate(path, good)
