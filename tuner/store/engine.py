"""Engine, transactions and clock: the only file that knows which database it talks to."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from tuner.errors import StorageError, StorageFull
from tuner.store import hot
from tuner.store.group import GroupCommit, Job, Need
from tuner.store.once import remembering

T = TypeVar("T")
BUSY_MILLISECONDS = 30_000
CLOCK_SECONDS = 10.0
CONNECTIONS = 40  # of one pool: each thread that answers may need one
CONNECT_SECONDS = 10  # for which a server that is not there is waited for
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
# Options of an engine that closes each connection after its use: nobody has to close the engine.
UNPOOLED: Mapping[str, Any] = {"poolclass": NullPool}
_UNDO = "segtune_undo"
_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_MILLISECONDS}",  # first: the next one may have to wait
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # what was answered with 2xx survives a power cut
    "PRAGMA foreign_keys=ON",
)


class Database:
    """One database: transactions that write, transactions that read, and its clock.

    Only the database's clock decides about leases, so that workers and servers may disagree on
    the time; a simulation passes a `clock` of its own. At most `connections` are open at once.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self.url = normalize(url)
        self._engine = _create_engine(self.url, connections)
        self._is_sqlite = is_sqlite = self._engine.dialect.name == "sqlite"
        self._clock = clock or (_machine_time if is_sqlite else _ServerClock(self.url))
        # Threads of one process queue here; SQLite's own busy wait is a lottery among them.
        self._writing: AbstractContextManager[Any] = (
            threading.Lock() if is_sqlite else nullcontext()
        )
        # A read of several statements is one snapshot on SQLite; on PostgreSQL it would not be
        # one at READ COMMITTED either, so the round trips of BEGIN and ROLLBACK are saved.
        self._reader = (
            self._engine
            if is_sqlite
            else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._snapshots = (
            self._engine
            if is_sqlite
            else self._engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._group = GroupCommit(self._transaction)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for migrations and inspection."""
        return self._engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose changes are committed together, or not at all.

        Raises:
            StorageError: the database refused or could not be reached.
        """
        with self._transaction(()) as session:
            yield session

    @contextmanager
    def _transaction(self, needs: Sequence[Need]) -> Iterator[Session]:
        """A transaction that begins with what a group of works needs, if there is one."""
        # A group says BEGIN together with its reads.
        engine = self._reader if needs and not self._is_sqlite else self._engine
        with self._writing, _storage_errors(), Session(engine, autoflush=False) as session:
            session.connection(execution_options={"segtune_writes": True})
            try:
                if needs:
                    hot.prepare(session, needs)
                yield session
                hot.batch_of(session).close(session)
            except BaseException:
                try:
                    session.rollback()
                finally:
                    for call in session.info.get(_UNDO, ()):
                        call()
                raise

    def together(self, job: Job[T]) -> T:
        """Do a job in a transaction that other threads may share; see `GroupCommit.run`."""
        return self._group.run(job)

    def soon(self, job: Job[T]) -> "Future[T]":
        """The same for whoever cannot wait as a thread does; see `GroupCommit.soon`."""
        return self._group.soon(job)

    def moment(self, session: Session) -> datetime:
        """The time at which a transaction that works share first asked for it: one for all."""
        return hot.batch_of(session).moment(self.now)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed. Raises StorageError."""
        with _storage_errors(), Session(self._reader, autoflush=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Give a session for reading in which every statement sees the same moment.

        Raises:
            StorageError: the database refused or could not be reached.
        """
        with (
            _storage_errors(),
            Session(self._snapshots, autoflush=False, info=remembering()) as session,
        ):
            yield session

    @property
    def is_for_several(self) -> bool:
        """Whether several server processes may use it at once."""
        return not self._is_sqlite

    @contextmanager
    def conversation(self, channel: str) -> Iterator[Any]:
        """A psycopg connection of its own, which says and hears what is said in a channel.

        Raises:
            StorageError: PostgreSQL could not be reached, or went away.
        """
        engine = _create_postgresql_engine(self.url, **UNPOOLED)
        with _storage_errors(), engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f'LISTEN "{channel}"')
            driver = connection.connection.driver_connection
            try:
                yield driver
            except engine.dialect.loaded_dbapi.Error as error:
                raise StorageError(f"the database did not answer: {error}") from error

    def now(self) -> datetime:
        """The database's time, in UTC. Raises StorageError."""
        with _storage_errors():
            return self._clock()

    def is_absent(self) -> bool:
        """Whether it is an SQLite file that is not there yet; opening would make it."""
        url = self._engine.url
        return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()

    def dispose(self) -> None:
        """Close every connection."""
        self._group.close()
        self._engine.dispose()


def on_rollback(session: Session, call: Callable[[], None]) -> None:
    """Have `call` called if the session's transaction is not committed."""
    session.info.setdefault(_UNDO, []).append(call)


def _machine_time() -> datetime:
    """SQLite runs inside this process: its clock is this machine's."""
    return datetime.now(UTC)


class _ServerClock:
    """A database server's clock: asked every few seconds, carried on by our own steady one."""

    def __init__(self, url: str) -> None:
        # A connection of its own: a transaction that asks for the time already holds one, and
        # two of the same pool for each would be a deadlock.
        self._engine = _create_postgresql_engine(url, **UNPOOLED)
        self._lock = threading.Lock()
        self._asked_at = -CLOCK_SECONDS
        self._answer = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        with self._lock:
            elapsed = time.monotonic() - self._asked_at
            if elapsed >= CLOCK_SECONDS:
                with self._engine.connect() as connection:
                    moment: datetime = connection.scalar(text("SELECT clock_timestamp()"))
                self._answer, self._asked_at, elapsed = moment, time.monotonic(), 0.0
            return self._answer.astimezone(UTC) + timedelta(seconds=elapsed)


def normalize(url: str) -> str:
    """Spell the driver out, as in `postgresql+psycopg://`. Raises StorageError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is not a number is a ValueError
        raise StorageError(
            f"'{shown(url)}' is not a database URL; give sqlite:///path or "
            "postgresql://user@host/name"
        ) from None
    name = _DRIVERS.get(parsed.drivername)
    if name is None:
        raise StorageError(
            f"a database of the kind '{parsed.drivername}' is not supported; give sqlite:///path "
            "or postgresql://user@host/name"
        )
    return parsed.set(drivername=name).render_as_string(hide_password=False)


def is_for_several(url: str) -> bool:
    """Whether several server processes may use the database at a URL. Raises StorageError."""
    return make_url(normalize(url)).get_backend_name() != "sqlite"


def shown(url: str) -> str:
    """The URL as a message may show it, without a password."""
    return re.sub(r"(?<=://)([^:/@]*):.*@|(?<=password=)[^&]*", _hide, url)


def _hide(found: "re.Match[str]") -> str:
    return "***" if found[1] is None else f"{found[1]}:***@"


def _create_engine(url: str, connections: int) -> Engine:
    parsed = make_url(url)
    kept = connections // 2
    pool = {"pool_size": kept, "max_overflow": connections - kept, "json_deserializer": _from_json}
    if parsed.get_backend_name() != "sqlite":
        return _create_postgresql_engine(url, **pool)
    if parsed.database in {None, "", ":memory:"}:
        raise StorageError("an in-memory SQLite is lost at once; give a path: sqlite:///segtune.db")
    folder = Path(str(parsed.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the database's folder {folder} cannot be made: {error.strerror}; name another by "
            "--home, SEGTUNE_HOME or SEGTUNE_DATABASE_URL"
        ) from error
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "isolation_level": None},
        **pool,
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _create_postgresql_engine(url: str, **options: Any) -> Engine:
    try:
        return create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS}, **options)
    except ImportError as error:
        raise StorageError(
            f"PostgreSQL's driver cannot be loaded: {error}; install segtune[server]"
        ) from error


def _from_json(text: str) -> Any:
    """The value of a JSON column; a damaged one comes as its text, so that other rows can be read.

    SQLite keeps any text in such a column.
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def _set_pragmas(connection: Any, _: ConnectionPoolEntry) -> None:
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()  # SQLAlchemy does not know of it yet
        raise


def _begin(connection: Any) -> None:
    """Take SQLite's write lock at the start: a lock taken later can fail half way through."""
    writes = connection.get_execution_options().get("segtune_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if _is_full(error.orig):
            raise StorageFull(
                f"the disk under the database is full ({error.orig}); make room there"
            ) from error
        raise StorageError(f"the database did not answer: {error.orig}") from error
    except DBAPIError as error:
        raise StorageError(f"the database refused: {error.orig}") from error
    except SQLAlchemyError as error:
        raise StorageError(f"the database failed: {error}") from error


def _is_full(error: BaseException | None) -> bool:
    """Whether SQLite or PostgreSQL says that its disk takes no more."""
    said = getattr(error, "sqlite_errorname", None), getattr(error, "sqlstate", None)
    return said[0] == "SQLITE_FULL" or said[1] == "53100"
