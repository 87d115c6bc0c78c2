"""A study as one file: its rows as JSON lines and its artifacts in a zip, between databases."""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tuner import __version__
from tuner.atomic import replacing
from tuner.configs.checks.names import number_problems
from tuner.errors import Conflict, InvalidInput, Malformed, NotFound, UnsupportedVersion
from tuner.service import documents, files, lifecycle, summaries
from tuner.spec.states import StudyState
from tuner.spec.study import Name
from tuner.spec.validation import problems
from tuner.spec.views import StudyView
from tuner.store import archive_rows, migrate, studies
from tuner.store.archive_rows import PARTS, ArchiveRow, Arrival
from tuner.store.artifacts import ArtifactStore, Stored
from tuner.store.engine import Database
from tuner.wording import quantity

FORMAT = 1
MANIFEST = "segtune.json"
_STUDY = "study.jsonl"
_BATCH = 500
_LINE = 64 << 20
_CHUNK = 1 << 20
_PRIVATE = 0o600
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, RuntimeError)


class ExportedStudy(NamedTuple):
    """What an archive holds."""

    study: str
    trials: int
    files: int


# ── Export ───────────────────────────────────────────────────────────────────────────────────


def save(
    db: Database, store: ArtifactStore, study: int | str, file: Path, *, artifacts: bool = True
) -> ExportedStudy:
    """Write all of a study, as it is at one moment, to a file.

    Raises:
        NotFound: there is no such study.
        Conflict: the file is there and is not an archive, or an artifact was replaced meanwhile.
        StorageError: the database did not answer.
    """
    if file.exists() and not _is_archive(file):
        raise Conflict(f"{file} is there and is not an exported study; choose another name")
    named: dict[str, None] = {}
    counts: dict[str, int] = {}
    with (
        replacing(file, mode=_PRIVATE) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        with db.snapshot() as session:
            row = studies.find(session, study)
            name = row.name
            counts["study"] = _write(archive, _STUDY, [archive_rows.study_row(session, row.id)])
            for part in PARTS:
                rows = archive_rows.rows_of(session, row.id, part)
                if part == "artifacts":
                    rows = _noting(rows, named) if artifacts else iter(())
                counts[part] = _write(archive, f"{part}.jsonl", rows)
        for digest in named:
            _write_file(archive, store, digest)
        manifest = {
            "format": FORMAT,
            "segtune": __version__,
            "revision": migrate.head(),
            "study": name,
            "rows": counts,
            "files": len(named),
        }
        archive.writestr(MANIFEST, json.dumps(manifest, indent=2))
    return ExportedStudy(name, counts["trials"], len(named))


def _noting(rows: Iterable[ArchiveRow], named: dict[str, None]) -> Iterator[ArchiveRow]:
    for row in rows:
        named[row["sha256"]] = None
        yield row


def _write(archive: zipfile.ZipFile, name: str, rows: Iterable[ArchiveRow]) -> int:
    count = 0
    with archive.open(name, "w", force_zip64=True) as written:
        for row in rows:
            count += 1
            written.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return count


def _write_file(archive: zipfile.ZipFile, store: ArtifactStore, digest: str) -> None:
    entry = zipfile.ZipInfo(_path(digest))  # packed already, in most cases
    try:
        with store.open(digest) as read, archive.open(entry, "w", force_zip64=True) as written:
            while chunk := read.read(_CHUNK):
                written.write(chunk)
    except NotFound as error:
        raise Conflict(
            f"{error}; where its trial is just being trained, pause the study and try again, "
            "and else see `segtune db check`"
        ) from error


def _path(digest: str) -> str:
    return f"artifacts/{digest}"


def _is_archive(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return MANIFEST in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


# ── Import ───────────────────────────────────────────────────────────────────────────────────


def load(db: Database, store: ArtifactStore, file: Path, *, name: str | None = None) -> StudyView:
    """Bring an exported study into this database, whole or not at all.

    Nobody sees it before it is whole. Leases that were held have ended then, and a study that was
    not over is paused.

    Raises:
        Malformed: the file is not an exported study, or is damaged.
        UnsupportedVersion: a newer release has written it.
        InvalidInput: no study can have the name that is given.
        Conflict: a study has the name; another one may be given.
        StorageError: the database did not answer, or the artifact folder is full.
    """
    with _errors(file), zipfile.ZipFile(file) as archive:
        counts = _manifest(archive, file)
        row = next(_lines(archive, _STUDY), {})
        name = str(row.get("name")) if name is None else _as_new(name)
        with db.transaction() as session:
            if studies.names_like(session, name) & {name}:
                raise Conflict(f"a study named '{name}' exists; give another name by --name")
            arrival = archive_rows.add_hidden(session, row, now=db.now())
        try:
            for part in PARTS:
                _add(db, store, archive, arrival, part, counts.get(part, 0))
            return _show(db, arrival, row, name)
        except BaseException:
            with db.transaction() as session:
                archive_rows.discard(session, arrival)
            raise


def _as_new(name: str) -> str:
    """A name that a new study may have. Raises InvalidInput."""
    try:
        found: str = TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        each = [{**item, "loc": ("name",)} for item in error.errors()]
        raise InvalidInput(problems(each)) from None
    if wrong := list(number_problems(found)):
        raise InvalidInput(wrong)
    return found


def _add(
    db: Database,
    store: ArtifactStore,
    archive: zipfile.ZipFile,
    arrival: Arrival,
    part: str,
    expected: int,
) -> None:
    """Insert a part in several transactions, so that no server waits long."""
    rows, count = _lines(archive, f"{part}.jsonl"), 0
    # A file that no row names for some seconds may be deleted.
    size = 1 if part == "artifacts" else _BATCH
    while batch := list(islice(rows, size)):
        count += len(batch)
        stored = [_add_file(store, archive, row) for row in batch if part == "artifacts"]
        with db.transaction() as session:
            for each in stored:
                files.keep(session, each, store)
            archive_rows.add_rows(session, arrival, part, batch, db.now())
    if count != expected:
        raise Malformed(f"there must be {quantity(expected, 'row')} of {part}, and are {count}")


def _add_file(store: ArtifactStore, archive: zipfile.ZipFile, row: Mapping[str, Any]) -> Stored:
    digest, size = row.get("sha256"), row.get("size")
    if not isinstance(digest, str) or not isinstance(size, int):
        raise Malformed("a row of artifacts has no sha256 or no size")
    with _opened(archive, _path(digest)) as read:
        return store.write(iter(lambda: read.read(_CHUNK), b""), sha256=digest, limit=size)


def _show(db: Database, arrival: Arrival, row: Mapping[str, Any], name: str) -> StudyView:
    with db.transaction() as session:
        archive_rows.show(session, arrival, row, name)
        study, now = studies.lock(session, arrival.study), db.now()
        documents.spec_of(study)  # what cannot be read is not taken
        lifecycle.take_back(session, study, "it was exported while it was trained", now=now)
        state = StudyState(study.state)
        if not state.has_ended and state is not StudyState.PAUSED:
            studies.move(session, study, StudyState.PAUSED, now=now, reason="imported")
        return summaries.study_view(session, study, now=now)


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, int]:
    """How many rows of each part there must be."""
    with _opened(archive, MANIFEST) as read:
        found = json.loads(read.read(_LINE))
    if not isinstance(found, dict):
        raise Malformed(f"{MANIFEST} is not an object")
    form, revision, counts = (found.get(key) for key in ("format", "revision", "rows"))
    if form != FORMAT or not migrate.is_known(str(revision)):
        raise UnsupportedVersion(
            f"{file} was written by segtune {found.get('segtune')}, in format {form} at revision "
            f"{revision}; this release reads format {FORMAT} up to revision {migrate.head()}: "
            "install a newer one"
        )
    if not isinstance(counts, dict):
        raise Malformed("its list of rows is missing")
    return counts


def _opened(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except KeyError:
        raise Malformed(f"it lacks {name}") from None


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[ArchiveRow]:
    with _opened(archive, name) as packed:
        while line := packed.readline(_LINE):
            if len(line) == _LINE:
                raise Malformed(f"a line of {name} is longer than {_LINE >> 20} MiB")
            row = json.loads(line)
            if not isinstance(row, dict):
                raise Malformed(f"a line of {name} is not an object")
            yield row


@contextmanager
def _errors(file: Path) -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise Malformed(f"{file} is damaged: {error}") from error
    except (*_DAMAGED, json.JSONDecodeError) as error:
        said = " ".join(str(error).split())[:300]
        raise Malformed(f"{file} is not an exported study, or is damaged: {said}") from error
