"""What must hold before a server starts: checked once, so that what does not is one line."""

import errno
import socket
import tempfile
from pathlib import Path

from api.security import check_exposure, is_exposed
from api.settings import Settings
from api.webhooks import hooks
from tuner.configs import catalog, plugins
from tuner.errors import InvalidInput, Problem, StorageError
from tuner.service import storage, tokens

_REMEDIES = {
    errno.ENOSPC: "make room there, or ",
    errno.EDQUOT: "make room there, or ",
    errno.EACCES: "allow this user to write there, or ",
    errno.EROFS: "make it writable, or ",
}


def prepare(settings: Settings) -> None:
    """Make the folders, and bring the database to the tables of this release.

    Raises:
        InvalidInput: the address could be reached by others without a token, there are to be
            several processes where only one can be, a plug-in has the name of another component,
            or a webhook is described wrongly.
        PackageMissing: one is needed to reach the artifacts.
        StorageError: a folder cannot be written, or the database cannot be opened or migrated.
    """
    _check_processes(settings)
    hooks.read(settings)
    plugins.allow(settings.plugins)
    catalog.broken()
    _check_folder(settings.home, "home folder", "--home or SEGTUNE_HOME")
    if settings.has_artifacts_at_url:
        storage.probe(settings.artifact_place)
    else:
        _check_folder(settings.artifact_folder, "folder of artifacts", "SEGTUNE_ARTIFACTS")
    storage.upgrade(settings.database_url)
    if is_exposed(settings):
        check_exposure(settings, has_tokens=_has_tokens(settings))


def _has_tokens(settings: Settings) -> bool:
    with storage.opened(settings.database_url, settings.artifact_place) as stored:
        return tokens.known(stored.db).is_any


def _check_processes(settings: Settings) -> None:
    """Raise InvalidInput where several processes cannot serve."""
    if settings.processes == 1:
        return
    if not storage.is_for_several(settings.database_url):
        message = (
            f"{settings.processes} server processes need PostgreSQL, and the database is an SQLite "
            "file, which has one writer; set SEGTUNE_DATABASE_URL to a PostgreSQL, or run one"
        )
        raise InvalidInput([Problem(("SEGTUNE_PROCESSES",), message)])
    if not hasattr(socket, "SO_REUSEPORT"):
        message = (
            f"{settings.processes} server processes cannot share a port on this system; run one on "
            "each of several ports behind a proxy"
        )
        raise InvalidInput([Problem(("SEGTUNE_PROCESSES",), message)])


def _check_folder(folder: Path, what: str, setting: str) -> None:
    """Write and delete a file there. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"segtune")
    except OSError as error:
        is_file = error.errno in {errno.EEXIST, errno.ENOTDIR}
        reason = "a file is in its way" if is_file else error.strerror
        remedy = _REMEDIES.get(error.errno or 0, "")
        raise StorageError(
            f"the {what} {folder} cannot be written: {reason}; {remedy}name another by {setting}"
        ) from error
