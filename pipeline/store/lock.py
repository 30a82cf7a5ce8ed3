"""One sender at a time. The lock dies with the process that holds it: no stale files, no guessing by age.

SQLite lives on one host, so the kernel keeps the lock (`flock`). PostgreSQL keeps it for as long as
one session of ours lives (`pg_try_advisory_lock`); what a sender writes after losing that session is
refused by its lease epoch.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, text

from pipeline.store.engine import StorageError, StorageTrouble, is_sqlite

_SENDER_LOCK = 7_305_131_902
_LISTS = 0x7765656B6C697374  # "weeklist"
LOOKS = 3
"""How often a pooler gets the chance to show itself; others may be using it at the same time."""

MOST_TRIES = 5
"""How often a transaction is begun that others keep from being written."""

Result = TypeVar("Result")


class AnotherRun(Exception):
    """Another process is sending from this database."""

    def __init__(self) -> None:
        super().__init__("another run is at work on this newsletter; nothing was done here")


@contextmanager
def sender_lock(engine: Engine) -> Iterator[None]:
    """Hold the sender's place for the block. Raises `AnotherRun` at once when it is taken, and
    `StorageError` where a pooler stands before PostgreSQL, for then no lock holds."""
    hold = _flock(engine) if is_sqlite(engine) else _advisory(engine)
    with hold:
        yield


def in_turn(connection: Connection) -> None:
    """To be asked before a whole list of people or addresses is written: on PostgreSQL two lists with the
    same ones in another order would wait for each other in a circle, so they go one after the other. SQLite
    has one writer anyway."""
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LISTS})


def undisturbed(transaction: Callable[[], Result]) -> Result:
    """What `transaction` gives, which is done again where another program was in its way: then nothing of it
    was written. Raises `StorageTrouble` when it never gets through."""
    for _ in range(MOST_TRIES - 1):
        try:
            return transaction()
        except StorageTrouble as trouble:
            if not trouble.locked:
                raise
    return transaction()


@contextmanager
def _flock(engine: Engine) -> Iterator[None]:
    database = engine.url.database
    if not database:
        raise ValueError("a sender needs a database file to lock")
    path = Path(database)
    with path.with_name(path.name + ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise AnotherRun from taken
        yield


@contextmanager
def _advisory(engine: Engine) -> Iterator[None]:
    with engine.connect() as connection:
        if not _has_session_of_its_own(engine, connection):
            raise StorageError(
                "storage: a pooler that spreads transactions over several sessions stands before PostgreSQL, "
                "and a sender's lock lives in one session: give the address of PostgreSQL itself "
                "(or set pool_mode = session)"
            )
        got = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": _SENDER_LOCK}
        ).scalar_one()
        connection.commit()
        if not got:
            raise AnotherRun
        try:
            yield
        finally:
            _unlock(connection)


def _unlock(connection: Connection) -> None:
    """A session that has ended took its lock along."""
    try:
        connection.execute(text(f"SELECT pg_advisory_unlock({_SENDER_LOCK})"))
        connection.commit()
    except StorageTrouble as trouble:
        if not trouble.passing:
            raise


def _has_session_of_its_own(engine: Engine, connection: Connection) -> bool:
    """Do all transactions of a connection reach one and the same server process, and no other's?

    A pooler hands out the session that came back last, or the one that has waited longest. A second
    connection that keeps one busy now and then, and a look before and after, show either.
    """
    first = _backend(connection)
    seen, others = {first}, set()
    with engine.connect() as other:
        for _ in range(LOOKS):
            others.add(other.execute(_WHICH_BACKEND).scalar_one())
            seen.add(_backend(connection))
            other.rollback()
            seen |= {_backend(connection), _backend(connection)}
    return seen == {first} and len(others) == 1 and first not in others


_WHICH_BACKEND = text("SELECT pg_backend_pid()")


def _backend(connection: Connection) -> int:
    """The server process that serves this transaction; the transaction ends here."""
    process: int = connection.execute(_WHICH_BACKEND).scalar_one()
    connection.rollback()
    return process
