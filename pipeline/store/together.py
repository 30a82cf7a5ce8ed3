"""Many small writes in one synced transaction.

A synced commit takes a disk's time whatever it holds. When many people press a button at once, each waiting
for the commit of the one before, the last of them waits for seconds; those who arrive meanwhile may as well
share the next commit. PostgreSQL does this by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine

from pipeline.store.engine import is_sqlite, writing

MOST = 64
"""Writes in one transaction: another process waits no longer for it than it would for a batch's."""

Result = TypeVar("Result")


class _Job(Generic[Result]):
    """One write, and what became of it."""

    def __init__(self, work: Callable[[Connection], Result]) -> None:
        self.work = work
        self.over = False
        self._result: Result | None = None
        self._error: BaseException | None = None

    def ends(self, result: Result | None, error: BaseException | None) -> None:
        self.over, self._result, self._error = True, result, error

    def outcome(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # it is over, so there is one


class Together:
    """Writes of one database that may share a transaction. For writes that need nothing of each other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = Lock()

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` gives, after the synced commit of it. Raises what it raises: then nothing of it was
        written, and others are not touched."""
        if not is_sqlite(self._engine):
            with writing(self._engine) as connection:
                return work(connection)
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            # Whoever has the turn writes for all who wait; most find that it was done for them.
            if not job.over:
                self._write_all()
        return job.outcome()

    def _write_all(self) -> None:
        jobs = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            with writing(self._engine) as connection:
                ends = [_tried(connection, job.work) for job in jobs]
        except BaseException as failure:
            # Nothing of the transaction is there.
            ends = [(None, failure)] * len(jobs)
        for job, (result, error) in zip(jobs, ends, strict=True):
            job.ends(result, error)


def _tried(connection: Connection, work: Callable[[Connection], Any]) -> tuple[Any, BaseException | None]:
    try:
        with connection.begin_nested():
            return work(connection), None
    except Exception as error:
        return None, error
