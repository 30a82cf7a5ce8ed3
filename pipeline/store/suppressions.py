"""The suppressions: who must never be mailed, why, on whose word and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, Engine, delete, insert, select, update

from pipeline.store import tables
from pipeline.store.engine import insert_new, readers, writing
from pipeline.store.lock import in_turn, undisturbed
from pipeline.store.shadows import Shadows
from subscribers.suppression import SuppressionReason

PAGE = 1_000
ERASED = "erased"
"""The source of what is kept of somebody who was erased."""

_suppression = tables.suppression.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One standing reason not to mail an address."""

    address_key: str
    """For someone erased: a keyed hash."""
    reason: SuppressionReason
    source: str
    since: datetime

    @property
    def hidden(self) -> bool:
        """True for someone erased."""
        return "@" not in self.address_key


class Suppressions:
    def __init__(self, engine: Engine, shadows: Shadows) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._shadows = shadows

    def listed(self, *, reason: SuppressionReason | None = None) -> Iterator[Suppression]:
        """All of them, or those for one reason, by address; a page at a time."""
        last = ""
        while True:
            query = select(tables.suppression).where(_suppression.address_key > last)
            if reason is not None:
                query = query.where(_suppression.reason == reason)
            with self._readers.connect() as connection:
                rows = connection.execute(query.order_by(_suppression.address_key).limit(PAGE)).all()
            if not rows:
                return
            for row in rows:
                yield Suppression(
                    address_key=row.address_key,
                    reason=SuppressionReason(row.reason),
                    source=row.source,
                    since=row.since,
                )
            last = rows[-1].address_key

    def find(self, address_key: str) -> Suppression | None:
        with self._readers.connect() as connection:
            row = connection.execute(
                select(tables.suppression).where(_suppression.address_key == address_key)
            ).one_or_none()
        if row is None:
            return None
        reason = SuppressionReason(row.reason)
        return Suppression(address_key=row.address_key, reason=reason, source=row.source, since=row.since)

    def add(self, found: Iterable[Suppression]) -> int:
        """Take these in, a thousand to a transaction; a stronger reason replaces a weaker one. Of those who
        were erased only the hash stays. Gives how many changed anything. Raises `StorageError` when nobody
        can tell who was erased."""
        return sum(undisturbed(partial(self._add, chunk)) for chunk in _chunks(found))

    def _add(self, chunk: Sequence[Suppression]) -> int:
        with writing(self._engine) as connection:
            in_turn(connection)
            self._shadows.require(connection)
            places = self._shadows.places(connection, {each.address_key for each in chunk})
            return sum(
                suppress(connection, places[each.address_key], each.reason, source=each.source, at=each.since)
                for each in sorted(chunk, key=lambda one: places[one.address_key])
            )

    def lift(self, address_key: str, *, who: str, reason: str, now: datetime) -> bool:
        """Take one away, in a person's name. False when there was none. Whoever was erased stays so: only
        what came after that goes, unless their very hash is named."""
        with writing(self._engine) as connection:
            place = self._shadows.places(connection, [address_key])[address_key]
            lifted = connection.execute(
                delete(tables.suppression).where(_suppression.address_key == address_key)
            ).rowcount
            if place != address_key:
                lifted += connection.execute(
                    update(tables.suppression)
                    .where(_suppression.address_key == place)
                    .where(_suppression.reason != SuppressionReason.ERASED)
                    .values(reason=SuppressionReason.ERASED, source=ERASED)
                ).rowcount
            if lifted:
                connection.execute(
                    insert(tables.decision).values(at=now, who=who, what="lift suppression", reason=reason)
                )
            return lifted > 0


def suppress(
    connection: Connection, address_key: str, reason: SuppressionReason, *, source: str, at: datetime
) -> bool:
    """Suppress an address within a transaction; True if that changed anything. A stronger reason takes the
    place of a weaker one, whatever order they come in."""
    row = {"address_key": address_key, "reason": reason, "source": source, "since": at}
    if insert_new(connection, tables.suppression, row):
        return True
    known = connection.execute(
        select(_suppression.reason).where(_suppression.address_key == address_key).with_for_update()
    ).scalar_one_or_none()
    if known is None or not reason.outranks(SuppressionReason(known)):
        return False
    connection.execute(
        update(tables.suppression)
        .where(_suppression.address_key == address_key)
        .values(reason=reason, source=source, since=at)
    )
    return True


def lift_if(connection: Connection, address_key: str, *, source: str) -> None:
    """End a suppression within a transaction, if it came from there."""
    connection.execute(
        delete(tables.suppression).where(
            _suppression.address_key == address_key, _suppression.source == source
        )
    )


def _chunks(found: Iterable[Suppression]) -> Iterator[list[Suppression]]:
    chunk: list[Suppression] = []
    for each in found:
        chunk.append(each)
        if len(chunk) == PAGE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
