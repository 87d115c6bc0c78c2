"""Databases of the run's PostgreSQL, cloned from a migrated template and used again.

To clone a database and to remove it costs a test more than what it then does in it. So a clone
whose tables are as they were is emptied and used again, under another name: whatever a test has
left behind, a server or a thread, does not find it.
"""

import uuid
from collections import deque
from typing import Any

import psycopg
from sqlalchemy import make_url

from tuner.store.engine import normalize

RESTING = 2  # empty ones that wait: the one that was emptied last is not used next

_END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# What a migration or a test changes of the tables; a number is never given twice.
_SHAPE = """
SELECT (SELECT array_agg(version_num) FROM alembic_version),
       (SELECT sum(hashtextextended(a::text, 0)) FROM pg_attribute a WHERE attrelid >= 16384),
       (SELECT sum(hashtextextended(c::text, 0)) FROM pg_constraint c),
       (SELECT sum(oid::bigint) FROM pg_class), (SELECT sum(oid::bigint) FROM pg_trigger),
       (SELECT sum(oid::bigint) FROM pg_proc), (SELECT sum(oid::bigint) FROM pg_namespace)
"""
_FILLED = """
SELECT format('%I', relname) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
  AND pg_relation_size(oid) > 0
"""
_RESTART_NUMBERS = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"


class PostgresServer:
    """The run's PostgreSQL: hands out databases like its migrated template."""

    def __init__(self, admin_url: str, template: str) -> None:
        self._template = template
        self._url = make_url(admin_url)
        self._connection = psycopg.connect(conninfo(admin_url), autocommit=True)
        self._resting: deque[str] = deque()
        self._shape: Any = None

    def create(self, *, template: str | None = None) -> str:
        """Make a database like the template, by default with all tables, empty; give its URL."""
        name = f"{self._template}_{uuid.uuid4().hex[:12]}"
        if template is None and len(self._resting) >= RESTING:
            rested = self._resting.popleft()
            self._connection.execute(f'ALTER DATABASE "{rested}" RENAME TO "{name}"')
        else:
            self._connection.execute(
                f'CREATE DATABASE "{name}" TEMPLATE "{template or self._template}"'
            )
        return normalize(self._url.set(database=name).render_as_string(hide_password=False))

    def drop(self, url: str) -> None:
        """Take a database back, whoever still uses it."""
        name = str(make_url(url).database)
        if self._empties(url):
            self._resting.append(name)
        else:
            self._remove(name)

    def close(self) -> None:
        """Remove what waits to be used again."""
        for name in self._resting:
            self._remove(name)
        self._connection.close()

    def _remove(self, name: str) -> None:
        self._connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _empties(self, url: str) -> bool:
        """Whether a database now is as it was when it was made; a superuser can make it so.

        TRUNCATE would make every file of the tables anew, which is most of what a clone costs.
        """
        try:
            with psycopg.connect(conninfo(url), autocommit=True) as connection:
                connection.execute(_END_OTHERS)
                if connection.execute(_SHAPE).fetchone() != self._template_shape():
                    return False
                connection.execute(
                    "SET lock_timeout = '5s'; SET session_replication_role = replica"
                )
                tables = [row[0] for row in connection.execute(_FILLED)]
                for table in tables:
                    connection.execute(f"DELETE FROM {table}")
                if tables:
                    connection.execute(f"VACUUM {', '.join(tables)}")
                connection.execute(_RESTART_NUMBERS)
                return not connection.execute(_FILLED).fetchall()
        except psycopg.Error:
            return False

    def _template_shape(self) -> Any:
        if self._shape is None:
            url = self._url.set(database=self._template).render_as_string(hide_password=False)
            with psycopg.connect(conninfo(url), autocommit=True) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
        return self._shape


def conninfo(url: str) -> str:
    """The URL as libpq spells it."""
    plain = make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)
