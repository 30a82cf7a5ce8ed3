"""One sender at a time. The lock dies with the process that holds it: no stale files, no guessing by age.

SQLite lives on one host, so the kernel keeps the lock (`flock`). PostgreSQL keeps it for as long as
one session of ours lives (`pg_try_advisory_lock`); what a sender writes after losing that session is
refused by its lease epoch.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from pipeline.store.engine import is_sqlite

_SENDER_LOCK = 7_305_131_902


class AnotherRun(Exception):
    """Another process is sending from this database."""

    def __init__(self) -> None:
        super().__init__("another run is at work on this newsletter; nothing was done here")


@contextmanager
def sender_lock(engine: Engine) -> Iterator[None]:
    """Hold the sender's place for the block. Raises `AnotherRun` at once when it is taken."""
    hold = _flock(engine) if is_sqlite(engine) else _advisory(engine)
    with hold:
        yield


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
        got = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": _SENDER_LOCK}
        ).scalar_one()
        connection.commit()
        if not got:
            raise AnotherRun
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({_SENDER_LOCK})"))
            connection.commit()
