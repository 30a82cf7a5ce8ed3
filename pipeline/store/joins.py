"""Sign-ups counted by scope and window, so that their limits hold across restarts and processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, delete, select

from pipeline.store import tables
from pipeline.store.engine import is_sqlite, readers, writing

_count = tables.join_count.c


class JoinCounts:
    """The counters behind `subscribers.ports.JoinCounter`. They hold no address: scopes are keyed hashes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def count(self, scope: str, *, since: datetime, most: int) -> bool:
        """See `JoinCounter.count`. When there is no room nothing is written: a flood must not keep the
        database busy."""
        if self.number(scope, since=since) >= most:
            return False
        with writing(self._engine) as connection:
            if is_sqlite(connection):
                from sqlalchemy.dialects.sqlite import insert
            else:
                from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
            first = insert(tables.join_count).values(scope=scope, since=since, number=1)
            one_more = first.on_conflict_do_update(
                index_elements=[_count.scope, _count.since],
                set_={"number": _count.number + 1},
                where=_count.number < most,
            )
            return connection.execute(one_more.returning(_count.number)).first() is not None

    def number(self, scope: str, *, since: datetime) -> int:
        """How many in that window."""
        query = select(_count.number).where(_count.scope == scope, _count.since == since)
        with self._readers.connect() as connection:
            found: int | None = connection.execute(query).scalar_one_or_none()
        return found or 0

    def forget(self, *, before: datetime) -> int:
        """Remove the windows that began before that moment; gives how many."""
        with writing(self._engine) as connection:
            return connection.execute(delete(tables.join_count).where(_count.since < before)).rowcount
