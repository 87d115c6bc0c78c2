"""Optuna studies where they lie: opened for reading, never created or upgraded."""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from tuner.errors import NotFound, StorageError
from tuner.store.engine import UNPOOLED


def load(storage: str, study: str) -> optuna.Study:
    """The study of that name in a database (a URL) or a journal (a file).

    Raises:
        NotFound: no such file or study.
        StorageError: the database is not one of Optuna's, or is of another version.
    """
    opened = _open(storage)
    try:
        return optuna.load_study(study_name=study, storage=opened)
    except KeyError:
        raise NotFound(f"{_shown(storage)} has no Optuna study '{study}'") from None
    except Exception as error:
        raise _unreadable(storage, error) from None


def _open(storage: str) -> BaseStorage:
    path = Path(storage.removeprefix("sqlite:///")) if "sqlite:///" in storage else None
    if "://" not in storage:
        path = Path(storage)
    if path is not None and not path.is_file():
        raise NotFound(f"no file {path}; give the Optuna study's database URL or journal file")
    try:
        if "://" not in storage:
            return JournalStorage(JournalFileBackend(storage))
        return RDBStorage(storage, engine_kwargs=dict(UNPOOLED), skip_table_creation=True)
    except Exception as error:
        raise _unreadable(storage, error) from None


def _unreadable(storage: str, error: Exception) -> StorageError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StorageError(f"cannot read Optuna's studies in {_shown(storage)}: {reason}")


def _shown(storage: str) -> str:
    """The address without user and password."""
    scheme, sign, rest = storage.partition("://")
    return f"{scheme}{sign}{rest.rpartition('@')[2]}" if sign else storage
