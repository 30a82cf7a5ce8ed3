"""What providers report, and what it means in the ledger.

A call is kept until it is read (`pipeline.store.incoming`). What it reports is noted once, under the
provider's own name for it, and acts in that same transaction, which forgets the call as well: so a death at
any moment either leaves the call to be read again or has done all of it. Which letter it is about is found in
`pipeline.store.reported`, what it does stands in `pipeline.store.acting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from emails.delivery import DeliveryState, EditionState
from emails.events import EventKind
from pipeline.crashpoint import crashpoint
from pipeline.store import tables
from pipeline.store.acting import RESTORED, count_refusals, hold, lock, prove, suppress_reported
from pipeline.store.engine import insert_all_new, is_sqlite, readers, writing
from pipeline.store.lock import undisturbed
from pipeline.store.reported import Found, Report, each_once, event_key, find, fresh
from pipeline.store.shadows import Shadows
from pipeline.store.suppressions import suppress
from subscribers.reports import reason_of

__all__ = ["RESTORED", "Events", "Report", "Strikes", "Taken"]

_incoming, _event, _person, _edition = (
    tables.incoming.c,
    tables.event.c,
    tables.delivery.c,
    tables.edition.c,
)

_LOCK = 0x7765656B65766E74  # "weekevnt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of some reports."""

    new: int = 0
    repeated: int = 0
    foreign: int = 0
    """New, and about no letter of ours."""
    proven: int = 0
    """Deliveries that are known to have been taken only by this."""
    suppressed: int = 0
    struck: tuple[int, ...] = ()
    """Editions with a new complaint or hard bounce."""

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            new=self.new + other.new,
            repeated=self.repeated + other.repeated,
            foreign=self.foreign + other.foreign,
            proven=self.proven + other.proven,
            suppressed=self.suppressed + other.suppressed,
            struck=tuple(sorted({*self.struck, *other.struck})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Strikes:
    """The numbers that the brake looks at, of one edition that is being sent."""

    edition_id: int
    day: str
    accepted: int
    complaints: int
    bounces: int


class Events:
    def __init__(self, engine: Engine, shadows: Shadows) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._shadows = shadows

    def about(self, reports: Iterable[Report]) -> list[tuple[Report, int]]:
        """Those of `reports` that are new and about a letter to somebody here, with their number."""
        with self._readers.connect() as connection:
            found = find(connection, fresh(connection, reports))
        return [(each.report, each.subscriber_id) for each in found if each.subscriber_id is not None]

    def take(self, reports: Sequence[Report], *, done: Sequence[int] = ()) -> Taken:
        """Note what is new among `reports`, act on it, and forget the calls `done`: one transaction. Raises
        `StorageError` when nobody can tell who was erased; then nothing is noted, and the calls stay."""
        return undisturbed(lambda: self._take(reports, done))

    def _take(self, reports: Sequence[Report], done: Sequence[int]) -> Taken:
        with writing(self._engine) as connection:
            self._shadows.require(connection)
            if not is_sqlite(connection):
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            told = find(connection, each_once(reports))
            lock(connection, told)
            found = _note(connection, told)
            proven = prove(connection, found)
            suppressed = suppress_reported(connection, found, self._shadows)
            suppressed += _suppress_wished(connection, found, self._shadows)
            count_refusals(connection, found)
            if done:
                connection.execute(delete(tables.incoming).where(_incoming.id.in_(done)))
            crashpoint("before reports commit")
        struck = {each.edition_id for each in found if each.edition_id is not None and each.is_strike}
        return Taken(
            new=len(found),
            repeated=len(reports) - len(found),
            foreign=sum(each.is_foreign for each in found),
            proven=proven,
            suppressed=suppressed,
            struck=tuple(sorted(struck)),
        )

    def being_sent(self) -> list[int]:
        """The editions that the brake can stop."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(_edition.id).where(
                    _edition.state == EditionState.SENDING, _edition.hold_reason.is_(None)
                )
            )
            return list(rows.scalars())

    def strikes(self, edition_id: int) -> Strikes | None:
        """What the brake must know of an edition; None unless it is being sent, not held, and something was
        reported against it. After a person let it go on, only what came since counts."""
        with self._readers.connect() as connection:
            edition = connection.execute(
                select(_edition.day, _edition.resumed_at)
                .where(_edition.id == edition_id, _edition.state == EditionState.SENDING)
                .where(_edition.hold_reason.is_(None))
            ).one_or_none()
            if edition is None:
                return None
            query = (
                select(_event.kind, func.count(_event.delivery_id.distinct()))
                .where(_event.edition_id == edition_id)
                .where(_event.kind.in_((EventKind.COMPLAINT, EventKind.HARD_BOUNCE)))
                .group_by(_event.kind)
            )
            if edition.resumed_at is not None:
                query = query.where(_event.received_at > edition.resumed_at)
            kinds: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
            if not kinds:
                return None
            accepted: int = connection.execute(
                select(func.count())
                .select_from(tables.delivery)
                .where(_person.edition_id == edition_id, _person.state == DeliveryState.ACCEPTED)
            ).scalar_one()
        return Strikes(
            edition_id=edition_id,
            day=edition.day,
            accepted=accepted,
            complaints=kinds.get(EventKind.COMPLAINT, 0),
            bounces=kinds.get(EventKind.HARD_BOUNCE, 0),
        )

    def stop(self, edition_id: int, *, reason: str) -> bool:
        """Hold an edition that is being sent; False when it is held or over."""
        with writing(self._engine) as connection:
            return hold(connection, edition_id, reason)

    def counts(self, edition_id: int) -> dict[EventKind, int]:
        """How many people of an edition each kind of report was about."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(_event.kind, func.count(_event.delivery_id.distinct()))
                .where(_event.edition_id == edition_id)
                .group_by(_event.kind)
            )
            return {EventKind(kind): number for kind, number in rows}

    # Asking

    def cursor(self, provider: str) -> str | None:
        """Where the last `sync` of this provider's records ended."""
        with self._readers.connect() as connection:
            found: str | None = connection.execute(
                select(tables.sync_cursor.c.cursor).where(tables.sync_cursor.c.provider == provider)
            ).scalar_one_or_none()
            return found

    def move_cursor(self, provider: str, cursor: str, *, now: datetime) -> None:
        with writing(self._engine) as connection:
            moved = connection.execute(
                update(tables.sync_cursor)
                .where(tables.sync_cursor.c.provider == provider)
                .values(cursor=cursor, at=now)
            ).rowcount
            if not moved:
                connection.execute(
                    insert(tables.sync_cursor).values(provider=provider, cursor=cursor, at=now)
                )


def _note(connection: Connection, told: Sequence[Found]) -> list[Found]:
    """Write them down; gives those that were not there yet. The database says which: to look first would cost
    PostgreSQL a walk through the whole table, as long as that is not very large."""
    if not told:
        return []
    new = insert_all_new(connection, tables.event, [_row(each) for each in told])
    return [each for each in told if event_key(each.report.event) in new]


def _suppress_wished(connection: Connection, found: Sequence[Found], shadows: Shadows) -> int:
    """The same for addresses that somebody wishes to move to: the owner did not want to be asked, or there is
    no such mailbox."""
    told = [(each.wished, each.report) for each in found if each.wished is not None]
    places = shadows.places(connection, {key for key, _ in told})
    changed = 0
    for key, report in sorted(told, key=lambda one: places[one[0]]):
        if reason := reason_of(report.event):
            at = report.event.occurred_at or report.received_at
            changed += suppress(connection, places[key], reason, source=report.event.provider, at=at)
    return changed


def _row(found: Found) -> dict[str, object]:
    event, row = found.report.event, found.delivery
    foreign = "foreign: " if found.is_foreign else ""
    return {
        "event_key": event_key(event),
        "received_at": found.report.received_at,
        "occurred_at": event.occurred_at,
        "edition_id": found.edition_id,
        "delivery_id": None if row is None else row.delivery_id,
        "kind": event.kind,
        "provider": event.provider,
        "detail": f"{foreign}{event.detail}".strip() or None,
    }
