"""Statements that a database server is sent together: none waits for the answer to another.

Each wait is a round trip, and on a busy machine a turn of the scheduler: a group of requests waits
twice, once for all that it reads and once for all that it writes. SQLite has nobody to wait for.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Delete, Dialect, Insert, Select, TypeDecorator, Update
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from tuner.errors import StorageError


class Query(NamedTuple):
    """A statement that is kept for the life of the process, and its values."""

    statement: Select[Any] | CompoundSelect[Any]
    values: Mapping[str, Any]


def read(
    session: Session, queries: Sequence[Query], *, begins: bool = False
) -> list[list[tuple[Any, ...]]]:
    """The rows of these reads, as plain tuples; each sees all that was committed before it.

    With `begins` they begin a transaction, on a connection that otherwise commits by itself.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return [
            [tuple(row) for row in connection.execute(query.statement, query.values)]
            for query in queries
        ]
    driver: Any = connection.connection.driver_connection
    with _refusals(), driver.pipeline():
        if begins:
            driver.execute("BEGIN")
        answers = [_send(driver, connection.dialect, query) for query in queries]
    return [answer.rows() for answer in answers]


@contextmanager
def writing(session: Session) -> Iterator[None]:
    """Send together what the block writes."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    with _refusals(), driver.pipeline():
        yield


def write(
    session: Session, statement: Insert | Update | Delete, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write rows of the same columns, within `writing`; nothing is sent for no rows.

    SQLAlchemy says how, once; running a statement through it costs more than the database.
    """
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.execute(statement, rows)
        return
    compiled, writers = _compiled_write(connection.dialect, statement, tuple(sorted(rows[0])))
    driver: Any = connection.connection.driver_connection
    if len(rows) == 1:  # keys of IN are among its values
        state = compiled.construct_expanded_state(dict(rows[0]))
        driver.execute(state.statement, _bound(state.parameters, writers))
        return
    with driver.cursor() as cursor:
        cursor.executemany(str(compiled), [_bound(row, writers) for row in rows])


def _bound(row: Mapping[str, Any], writers: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row as the driver takes them."""
    return {name: writers[name](value) if name in writers else value for name, value in row.items()}


def commit(session: Session) -> None:
    """Send COMMIT with what was written; `session.commit()` follows once the answers are in.

    SQLAlchemy gives the connection back as it commits: by then it must be out of the pipeline.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute("COMMIT")


@contextmanager
def _refusals() -> Iterator[None]:
    from psycopg import Error  # here, because it is told in words where it cannot be loaded

    try:
        yield
    except Error as error:  # of a statement whose answer SQLAlchemy did not wait for
        raise StorageError(f"the database refused: {error}") from error


class _Answer(NamedTuple):
    """The rows of a query to come, and what its columns' types make of their values."""

    cursor: DBAPICursor
    readers: Sequence[tuple[int, Any]]

    def rows(self) -> list[tuple[Any, ...]]:
        """All of them."""
        found = self.cursor.fetchall()
        if not self.readers:
            return [tuple(row) for row in found]
        return [self._read(list(row)) for row in found]

    def _read(self, row: list[Any]) -> tuple[Any, ...]:
        for index, read_value in self.readers:
            row[index] = read_value(row[index])
        return tuple(row)


def _send(driver: Any, dialect: Dialect, query: Query) -> _Answer:
    compiled, readers = _compiled(dialect, query.statement)
    expanded = compiled.construct_expanded_state(dict(query.values))
    return _Answer(driver.execute(expanded.statement, expanded.parameters), readers)


@lru_cache(maxsize=512)
def _compiled_write(
    dialect: Dialect, statement: Insert | Update | Delete, columns: tuple[str, ...]
) -> tuple[SQLCompiler, Mapping[str, Any]]:
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    assert isinstance(compiled, SQLCompiler)
    found = {
        name: bound.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bound in compiled.binds.items()
    }
    return compiled, {name: writer for name, writer in found.items() if writer is not None}


@lru_cache(maxsize=512)
def _compiled(
    dialect: Dialect, statement: Select[Any]
) -> tuple[SQLCompiler, Sequence[tuple[int, Any]]]:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    readers = [
        (index, partial(column.type.process_result_value, dialect=dialect))
        for index, column in enumerate(statement.selected_columns)
        if isinstance(column.type, TypeDecorator)  # the driver knows all others
    ]
    return compiled, readers
