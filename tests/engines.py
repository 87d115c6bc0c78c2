"""SQLAlchemy for tests: what it learns of a statement and of a server, it learns once.

An engine keeps the statements that it has compiled, and asks a server for its version when it
first connects. The engine of a test lives for a few statements, so most of its work was this.
"""

from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_COMPILED: LRUCache[Any, Any] = LRUCache(4000)


class _OneForAll(type):
    """Gives engines with the same options one dialect; what is compiled is kept by dialect."""

    made: ClassVar[dict[Any, Any]] = {}

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        key = cls, arguments, frozenset(options.items())
        if key not in cls.made:
            cls.made[key] = super().__call__(*arguments, **options)
        return cls.made[key]


class _AsksOnce(DefaultDialect):
    _has_asked = False

    def initialize(self, connection: Connection) -> None:
        """Ask the first server; the tests of a process use one."""
        if not self._has_asked:
            super().initialize(connection)
            self._has_asked = True


class SQLite(_AsksOnce, SQLiteDialect_pysqlite, metaclass=_OneForAll):
    """The dialect of every SQLite file."""

    supports_statement_cache = True


class PostgreSQL(_AsksOnce, PGDialect_psycopg, metaclass=_OneForAll):
    """The dialect of every database of the run's PostgreSQL."""

    supports_statement_cache = True


def pytest_configure() -> None:
    """Let the engines of this process use them, and share what they have compiled."""
    registry.register("sqlite", __name__, SQLite.__name__)
    registry.register("postgresql.psycopg", __name__, PostgreSQL.__name__)
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)
