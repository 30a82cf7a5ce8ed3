"""People nobody can be sure of, and the proof of what became of everyone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, func, insert, select, update

from emails.delivery import BatchState, DeliveryState, EditionState
from pipeline.store import tables
from pipeline.store.engine import readers, writing

PAGE = 1_000

_person, _batch, _attempt, _edition = (
    tables.delivery.c,
    tables.batch.c,
    tables.attempt.c,
    tables.edition.c,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One person who may or may not have an edition."""

    edition: str
    week: str
    batch: int
    address: str
    state: str
    """`uncertain`: still being settled; `unconfirmed`: given up, not sent again."""
    provider: str
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """What is known of one recipient of an edition."""

    address: str
    state: str
    reason: str | None
    batch: int | None
    provider_id: str | None
    attempts: tuple[dict[str, Any], ...]
    reports: tuple[dict[str, Any], ...] = ()
    """What the provider reported later, in the order in which it happened."""

    def as_json(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "state": self.state,
            "reason": self.reason,
            "batch": self.batch,
            "provider_id": self.provider_id,
            "attempts": list(self.attempts),
            "reports": list(self.reports),
        }


class Doubts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def listed(self, *, edition_id: int | None = None) -> list[Doubt]:
        """Everyone in doubt, or of one edition, by edition and place."""
        query = (
            select(tables.batch, _edition.day, _edition.week)
            .join(tables.edition, _edition.id == _batch.edition_id)
            .where(_batch.state.in_((BatchState.UNCERTAIN, BatchState.WRITTEN_OFF)))
        )
        if edition_id is not None:
            query = query.where(_edition.id == edition_id)
        found = []
        with self._readers.connect() as connection:
            for batch in connection.execute(query).all():
                people = (
                    select(_person.ordinal, _person.address)
                    .where(*_members(batch))
                    .where(_person.state.in_((DeliveryState.SUBMITTED, DeliveryState.UNCONFIRMED)))
                )
                found += [
                    ((batch.edition_id, person.ordinal), _doubt(batch, person.address))
                    for person in connection.execute(people)
                ]
        return [doubt for _, doubt in sorted(found, key=lambda one: one[0])]

    def release(self, batches: Sequence[int], *, who: str, reason: str, now: datetime) -> int:
        """Let these batches be sent again, in a person's name: whoever has the letter gets a second copy.
        Gives how many people that is. A second release of the same batch changes nothing."""
        return self._decide(
            batches,
            was=(BatchState.UNCERTAIN, BatchState.WRITTEN_OFF),
            batch=BatchState.PREPARED,
            people=DeliveryState.CLAIMED,
            what="release doubts",
            who=who,
            reason=reason,
            now=now,
        )

    def write_off(self, batches: Sequence[int], *, who: str, reason: str, now: datetime) -> int:
        """Give these batches up, in a person's name: their people are listed as unconfirmed."""
        return self._decide(
            batches,
            was=(BatchState.UNCERTAIN,),
            batch=BatchState.WRITTEN_OFF,
            people=DeliveryState.UNCONFIRMED,
            what="write off doubts",
            who=who,
            reason=reason,
            now=now,
        )

    def _decide(
        self,
        batches: Sequence[int],
        *,
        was: Sequence[BatchState],
        batch: BatchState,
        people: DeliveryState,
        what: str,
        who: str,
        reason: str,
        now: datetime,
    ) -> int:
        moved = 0
        with writing(self._engine) as connection:
            for batch_id in batches:
                row = connection.execute(
                    update(tables.batch)
                    .where(_batch.id == batch_id, _batch.state.in_(was))
                    .values(state=batch, reason=f"{what} by {who}: {reason}", not_before=None)
                    .returning(_batch.id, _batch.edition_id, _batch.first, _batch.last)
                ).one_or_none()
                if row is None:
                    continue
                moved += connection.execute(
                    update(tables.delivery)
                    .where(*_members(row))
                    .where(_person.state.in_((DeliveryState.SUBMITTED, DeliveryState.UNCONFIRMED)))
                    .values(state=people, reason=None if people is DeliveryState.CLAIMED else reason)
                ).rowcount
                if batch is BatchState.PREPARED:
                    connection.execute(
                        update(tables.edition)
                        .where(_edition.id == row.edition_id, _edition.state == EditionState.FINISHED)
                        .values(state=EditionState.SENDING, finished_at=None, resumed_at=now)
                    )
                connection.execute(
                    insert(tables.decision).values(
                        at=now,
                        who=who,
                        what=what,
                        edition_id=row.edition_id,
                        batch_id=batch_id,
                        reason=reason,
                    )
                )
        return moved

    def audit(self, edition_id: int, *, address_key: str | None = None) -> Iterator[AuditLine]:
        """Everyone of an edition, or one of them, by place; a page at a time."""
        last = 0
        while True:
            query = (
                select(tables.delivery, _batch.state.label("batch_state"))
                .outerjoin(tables.batch, _batch.id == _person.batch_id)
                .where(_person.edition_id == edition_id, _person.ordinal > last)
                .order_by(_person.ordinal)
                .limit(PAGE)
            )
            if address_key is not None:
                query = query.where(_person.address_key == address_key)
            with self._readers.connect() as connection:
                rows = connection.execute(query).all()
                attempts = _attempts(connection, {row.batch_id for row in rows if row.batch_id})
                reports = _reports(connection, [row.delivery_id for row in rows])
            if not rows:
                return
            for row in rows:
                yield _audit_line(row, attempts.get(row.batch_id, ()), reports.get(row.delivery_id, ()))
            last = rows[-1].ordinal


def _members(batch: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """The people of a batch: they stand between its first and its last, where the primary key finds them."""
    return (
        _person.edition_id == batch.edition_id,
        _person.ordinal.between(batch.first, batch.last),
        _person.batch_id == batch.id,
    )


def _attempts(connection: Any, batches: set[int]) -> dict[int, tuple[dict[str, Any], ...]]:
    if not batches:
        return {}
    rows = connection.execute(
        select(tables.attempt).where(_attempt.batch_id.in_(batches)).order_by(_attempt.batch_id, _attempt.n)
    )
    found: dict[int, tuple[dict[str, Any], ...]] = {}
    for row in rows:
        found[row.batch_id] = (
            *found.get(row.batch_id, ()),
            {
                "n": row.n,
                "started": row.started_at.isoformat(),
                "ended": row.ended_at.isoformat() if row.ended_at else None,
                "kind": row.kind,
                "http_status": row.http_status,
                "error": row.error,
            },
        )
    return found


def _reports(connection: Any, deliveries: Sequence[str]) -> dict[str, tuple[dict[str, Any], ...]]:
    event = tables.event.c
    rows = connection.execute(
        select(event.delivery_id, event.kind, event.occurred_at, event.received_at, event.detail)
        .where(event.delivery_id.in_(deliveries))
        .order_by(event.delivery_id, func.coalesce(event.occurred_at, event.received_at), event.event_key)
    )
    found: dict[str, tuple[dict[str, Any], ...]] = {}
    for row in rows:
        at = (row.occurred_at or row.received_at).isoformat()
        told = {"kind": row.kind, "at": at, "detail": row.detail}
        found[row.delivery_id] = (*found.get(row.delivery_id, ()), told)
    return found


def _audit_line(
    row: Row[Any], attempts: tuple[dict[str, Any], ...], reports: tuple[dict[str, Any], ...]
) -> AuditLine:
    in_doubt = row.state == DeliveryState.SUBMITTED and row.batch_state == BatchState.UNCERTAIN
    return AuditLine(
        address=row.address or "(erased)",
        state="uncertain" if in_doubt else row.state,
        reason=row.reason,
        batch=row.batch_id,
        provider_id=row.provider_id,
        attempts=attempts,
        reports=reports,
    )


def _doubt(batch: Row[Any], address: str | None) -> Doubt:
    return Doubt(
        edition=batch.day,
        week=batch.week,
        batch=batch.id,
        address=address or "(erased)",
        state="uncertain" if batch.state == BatchState.UNCERTAIN else "unconfirmed",
        provider=batch.provider,
        since=batch.last_submit_at,
        reason=batch.reason or "",
    )
