"""Opening the database so that a committed intent survives a power cut.

SQLite: write-ahead log, `synchronous=FULL`, every writer begins IMMEDIATE. PostgreSQL:
`synchronous_commit=on`. A database that will not promise this is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS = 10_000


class StorageError(Exception):
    """The database cannot be used as it is; the message says what to do."""


def open_engine(storage: str) -> Engine:
    """The engine for `sqlite:///path` or `postgresql://…`, checked for durability.

    Raises `StorageError` when the database cannot be opened or will not sync its commits.
    """
    url = _dialect_url(storage)
    engine = _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_postgresql(url)
    try:
        _check_durable(engine)
    except StorageError:
        engine.dispose()
        raise
    return engine


def readers(engine: Engine) -> Engine:
    """The same database for reading: on SQLite its transactions take no write lock."""
    return engine.execution_options(weekbrief_reads=True)


def is_sqlite(connection: Connection | Engine) -> bool:
    return connection.dialect.name == "sqlite"


def insert_new(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless its key is taken; True when it was inserted. The database is the referee."""
    statement = sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)
    key = next(iter(table.primary_key.columns))
    made = statement.values(values).on_conflict_do_nothing().returning(key)
    return connection.execute(made).first() is not None


def _dialect_url(storage: str) -> URL:
    url = make_url(storage)
    if url.get_backend_name() == "sqlite":
        return url
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN is deferred: two readers that both turn writer then lose an update or
    # fail at once, whatever the busy timeout. We begin by ourselves, so it must keep quiet.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = wal")
    cursor.execute("PRAGMA synchronous = full")
    cursor.execute("PRAGMA foreign_keys = on")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("weekbrief_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _open_postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as missing:
        raise StorageError(
            "storage: PostgreSQL needs its driver; install it with: pip install 'weekbrief[postgres]'"
        ) from missing
    event.listen(engine, "connect", _postgresql_durable)
    return engine


def _postgresql_durable(connection: Any, _entry: ConnectionPoolEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _check_durable(engine: Engine) -> None:
    from sqlalchemy.exc import DBAPIError

    try:
        with readers(engine).connect() as connection:
            problem = _sqlite_problem(connection) if is_sqlite(engine) else _postgresql_problem(connection)
    except DBAPIError as error:
        raise StorageError(f"storage: the database cannot be opened: {error.orig}") from error
    if problem:
        raise StorageError(f"storage: {problem}")


def _sqlite_problem(connection: Connection) -> str | None:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode != "wal":
        return (
            f"this place gives no write-ahead log (journal_mode is {mode}); "
            "keep the database on a local disk, not on a network file system"
        )
    level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    if int(level) < 2:
        return f"synchronous is {level}, which can forget a letter that was sent; it must be FULL"
    return None


def _postgresql_problem(connection: Connection) -> str | None:
    level = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    if level == "off":
        return "synchronous_commit is off, which can forget a letter that was sent; it must be on"
    return None
