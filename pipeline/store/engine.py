"""Opening the database so that a committed intent survives a power cut.

SQLite: write-ahead log, `synchronous=FULL`, every writer begins IMMEDIATE. PostgreSQL:
`synchronous_commit=on`. A database that will not promise this is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, Pool

BUSY_TIMEOUT_MS = 10_000
PAGE_BYTES = 8_192
"""Of a new database: half the writes of SQLite's usual 4,096, as people stand side by side. An existing one
keeps its own."""
CACHE_KB, ROOMY_KB = 4_000, 36_000
"""Pages that SQLite keeps in memory, in each of a handful of connections."""


class StorageError(Exception):
    """The database cannot be used as it is; the message says what to do."""


class StorageTrouble(Exception):
    """The database failed while it was in use; what was being written is not there, or nobody knows."""

    def __init__(self, text: str, *, passing: bool, locked: bool = False) -> None:
        super().__init__(f"storage: {text}")
        self.passing = passing
        """It may be over at the next try; otherwise a person is needed."""
        self.locked = locked
        """Another program held the database: nothing at all was written."""


def open_engine(storage: str) -> Engine:
    """The engine for `sqlite:///path` or `postgresql://…`, checked for durability.

    Raises `StorageError` when the database cannot be opened or will not sync its commits, and
    `StorageTrouble` when it is damaged or locked.
    """
    url = _dialect_url(storage)
    engine = _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_postgresql(url)
    event.listen(engine, "handle_error", _in_plain_words, retval=True)
    try:
        _check_durable(engine)
    except (StorageError, StorageTrouble):
        engine.dispose()
        raise
    return engine


def readers(engine: Engine) -> Engine:
    """The same database for reading: on SQLite its transactions take no write lock."""
    return engine.execution_options(weekbrief_reads=True)


_turns: WeakKeyDictionary[Pool, Any] = WeakKeyDictionary()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; on SQLite one of this process's threads at a time.

    SQLite lets who finds it locked sleep and ask again, longer each time, and whoever comes by just then goes
    first: with many threads some wait for seconds. Here they wait for each other's end instead.
    """
    if not is_sqlite(engine):
        with engine.begin() as connection:
            yield connection
        return
    with _turns.setdefault(engine.pool, RLock()), engine.begin() as connection:
        yield connection


@contextmanager
def roomy(connection: Connection) -> Iterator[None]:
    """Much memory for the block: to fill indexes in no order, the usual little would write each page many
    times."""
    if not is_sqlite(connection):
        yield
        return
    connection.exec_driver_sql(f"PRAGMA cache_size = -{ROOMY_KB}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KB}")
        connection.exec_driver_sql("PRAGMA shrink_memory")


def is_sqlite(connection: Connection | Engine) -> bool:
    return connection.dialect.name == "sqlite"


def driver(connection: Connection) -> Any:
    """The driver's own connection, in the same transaction, for statements that run too often to go another
    way. What it raises, `raise_trouble` looks at."""
    return connection.connection.driver_connection


def raise_trouble(connection: Connection, error: Exception) -> None:
    """Tell what came straight from the driver as SQLAlchemy's events would have it told: raises
    `StorageTrouble` for what is known, and gives a broken connection up."""
    dialect = connection.dialect
    broken = isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(
        error, connection.connection.dbapi_connection, None
    )
    if broken:
        connection.invalidate(error)
    trouble = _trouble(error, broken=broken)
    if trouble is not None:
        raise trouble from error


def insert_new(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless its key is taken; True when it was inserted. The database is the referee."""
    key = next(iter(table.primary_key.columns))
    if is_sqlite(connection):
        made = sqlite.insert(table).values(values).on_conflict_do_nothing().returning(key)
        return connection.execute(made).first() is not None
    from sqlalchemy.dialects import postgresql  # with all its drivers: only who uses it pays for that

    made_there = postgresql.insert(table).values(values).on_conflict_do_nothing().returning(key)
    return connection.execute(made_there).first() is not None


def insert_all_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> frozenset[Any]:
    """As `insert_new`, for many; gives the keys of the rows that were inserted."""
    key = next(iter(table.primary_key.columns))
    if is_sqlite(connection):
        made = sqlite.insert(table).on_conflict_do_nothing().returning(key)
        return frozenset(connection.execute(made, [dict(row) for row in rows]).scalars())
    from sqlalchemy.dialects import postgresql  # with all its drivers: only who uses it pays for that

    made_there = postgresql.insert(table).on_conflict_do_nothing().returning(key)
    return frozenset(connection.execute(made_there, [dict(row) for row in rows]).scalars())


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
    # Who writes next gets the connection that wrote last, with its pages in memory; another would read them.
    pooled = {"pool_use_lifo": True} if url.database not in (None, "", ":memory:") else {}
    engine = create_engine(url, hide_parameters=True, **pooled)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN is deferred: two readers that both turn writer then lose an update or
    # fail at once, whatever the busy timeout. We begin by ourselves, so it must keep quiet.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    cursor.execute("PRAGMA journal_mode = wal")
    cursor.execute("PRAGMA synchronous = full")
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    # What is erased is overwritten, not only let go of. Some builds of SQLite do so by themselves.
    cursor.execute("PRAGMA secure_delete = on")
    cursor.execute("PRAGMA foreign_keys = on")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("weekbrief_reads")
    try:
        driver(connection).execute("BEGIN" if reads else "BEGIN IMMEDIATE")
    except Exception as error:
        raise_trouble(connection, error)
        raise


def _open_postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
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


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL, _FULL_ON_POSTGRESQL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR), "53100"
_IN_A_CIRCLE = ("40P01", "40001")
"""PostgreSQL ended this transaction because two waited for each other, or read what another changed."""


def _in_plain_words(context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping:
        return None
    return _trouble(context.original_exception, broken=context.is_disconnect)


def _trouble(error: BaseException, *, broken: bool) -> StorageTrouble | None:
    """What a database is known to suffer from; anything else stays as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL or getattr(error, "sqlstate", None) == _FULL_ON_POSTGRESQL:
        text = f"the disk is full or cannot be written ({error}); make room, then run again"
        return StorageTrouble(text, passing=False)
    if code == sqlite3.SQLITE_BUSY:
        seconds = f"{BUSY_TIMEOUT_MS / 1000:g} s"
        text = f"another program has kept the database locked for more than {seconds}; run again"
        return StorageTrouble(text, passing=True, locked=True)
    if getattr(error, "sqlstate", None) in _IN_A_CIRCLE:
        text = "another program worked on the same rows; run again"
        return StorageTrouble(text, passing=True, locked=True)
    if code in _DAMAGED:
        text = f"the database is damaged ({error}): nothing more is sent. Put a backup of it back"
        return StorageTrouble(text, passing=False)
    if broken:
        return StorageTrouble("the connection to the database broke; run again", passing=True)
    return None


def _check_durable(engine: Engine) -> None:
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
