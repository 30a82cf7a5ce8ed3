"""Calls of providers as they came: kept first, in one synced transaction, and read afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, case, delete, func, select, update

from pipeline.store import tables
from pipeline.store.engine import readers, writing
from pipeline.store.statements import keep_call, new, run_for_rows

_incoming = tables.incoming.c

MAX_TRIES = 3
"""How often a call that cannot be read is read again before it is only kept."""
MAX_READ_BYTES = 2_000_000
"""Bodies read at a time."""
KEPT_FOR = timedelta(days=30)
"""How long a call that cannot be read is kept for a person to look at: it may hold an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A verified call, kept until it is read."""

    id: int = 0
    provider: str
    received_at: datetime
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tries: int = 0


class Incoming:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def keep(self, calls: Sequence[Raw]) -> None:
        """Store these calls in one synced transaction: after it none is lost."""
        rows = [
            new(
                {
                    "provider": call.provider,
                    "received_at": call.received_at,
                    "body": call.body,
                    "headers": json.dumps(dict(call.headers)) if call.headers else "{}",
                }
            )
            for call in calls
        ]
        with writing(self._engine) as connection:
            run_for_rows(connection, keep_call(), rows)

    def newest(self) -> int:
        """The number of the newest call that is kept; 0 when there is none. None is given twice."""
        with self._readers.connect() as connection:
            found: int | None = connection.execute(select(func.max(_incoming.id))).scalar_one()
            return found or 0

    def waiting(self, *, limit: int, after: int = 0, last: int | None = None) -> list[Raw]:
        """The next calls to be read, oldest first, with numbers above `after` and up to `last`: at most
        `limit`, and no more than fits in memory well."""
        upper = () if last is None else (_incoming.id <= last,)
        with self._readers.connect() as connection:
            sizes = connection.execute(
                select(_incoming.id, func.length(_incoming.body))
                .where(_incoming.tries < MAX_TRIES, _incoming.id > after, *upper)
                .order_by(_incoming.id)
                .limit(limit)
            ).all()
            chosen: list[int] = []
            size = 0
            for number, length in sizes:
                size += length
                if chosen and size > MAX_READ_BYTES:
                    break
                chosen.append(number)
            rows = connection.execute(
                select(tables.incoming).where(_incoming.id.in_(chosen)).order_by(_incoming.id)
            )
            return [
                Raw(
                    id=row.id,
                    provider=row.provider,
                    received_at=row.received_at,
                    body=row.body,
                    headers=json.loads(row.headers),
                    tries=row.tries,
                )
                for row in rows
            ]

    def failed(self, call: Raw, error: str) -> int:
        """Note that a call could not be read; it stays. Gives how often that was; of two who read it at the
        same moment one counts."""
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.incoming)
                .where(_incoming.id == call.id, _incoming.tries == call.tries)
                .values(tries=call.tries + 1, error=error[:500])
            )
            tries: int | None = connection.execute(
                select(_incoming.tries).where(_incoming.id == call.id)
            ).scalar_one_or_none()
            return tries or 0

    def unread(self) -> tuple[int, int]:
        """Calls still to be read, and calls that cannot be read and are only kept."""
        with self._readers.connect() as connection:
            kept = case((_incoming.tries >= MAX_TRIES, 1), else_=0)
            row = connection.execute(select(func.count(), func.coalesce(func.sum(kept), 0))).one()
        return row[0] - row[1], row[1]

    def done(self, calls: Sequence[int]) -> None:
        """Forget calls that are read and report nothing."""
        with writing(self._engine) as connection:
            connection.execute(delete(tables.incoming).where(_incoming.id.in_(calls)))

    def forget_unreadable(self, *, before: datetime) -> int:
        """Forget calls that cannot be read and came before that moment; gives how many."""
        old = (_incoming.tries >= MAX_TRIES, _incoming.received_at < before)
        with self._readers.connect() as connection:
            if connection.execute(select(_incoming.id).where(*old).limit(1)).first() is None:
                return 0
        with writing(self._engine) as connection:
            return connection.execute(delete(tables.incoming).where(*old)).rowcount
