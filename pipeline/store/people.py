"""Rows about people, within a transaction: the steps that joining, leaving and preferences are made of.

Locks on PostgreSQL are taken in one order: the turn of a list, people, editions, batches, deliveries,
suppressions, and the chain of consents last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from pipeline.store import tables
from pipeline.store.engine import insert_new
from pipeline.store.suppressions import suppress
from subscribers.addresses import Address
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.subscriber import Frequency, Subscriber, SubscriberState
from subscribers.suppression import SuppressionReason

_subscriber, _suppression = tables.subscriber.c, tables.suppression.c


def by_id(connection: Connection, subscriber_id: int, *, lock: bool = False) -> Subscriber | None:
    query = select(tables.subscriber).where(_subscriber.id == subscriber_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else as_subscriber(row)


def by_key(connection: Connection, address_key: str, *, lock: bool = False) -> Subscriber | None:
    query = select(tables.subscriber).where(_subscriber.address_key == address_key)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else as_subscriber(row)


def insert_person(
    connection: Connection, address: Address, *, name: str, language: str, at: datetime
) -> Subscriber:
    """A new row, pending and not yet asked; the row of another who was quicker, if there is one."""
    insert_new(
        connection,
        tables.subscriber,
        {
            "address": address.address,
            "address_key": address.key,
            "name": name,
            "language": language,
            "state": SubscriberState.PENDING,
            "created_at": at,
        },
    )
    made = by_key(connection, address.key, lock=True)
    if made is None:
        raise LookupError("a subscriber that was just written is not there")
    return made


def save(connection: Connection, subscriber: Subscriber) -> None:
    connection.execute(
        update(tables.subscriber)
        .where(_subscriber.id == subscriber.id)
        .values(
            state=subscriber.state,
            confirm_round=subscriber.confirm_round,
            asks=subscriber.asks,
            asked_at=subscriber.asked_at,
            confirmed_at=subscriber.confirmed_at,
            unsubscribed_at=subscriber.unsubscribed_at,
            reminded_at=subscriber.reminded_at,
            frequency=subscriber.frequency,
            paused_until=subscriber.paused_until,
        )
    )


def record(kind: ConsentKind, how: str, who: Subscriber, at: datetime) -> ConsentRecord:
    return ConsentRecord(kind=kind, wording="", source=how, page="", language=who.language, occurred_at=at)


def suppressed(
    connection: Connection, address_key: str, shadows: Sequence[str] = ()
) -> SuppressionReason | None:
    """The strongest standing reason not to mail an address, also one that is kept under a shadow of it."""
    reasons = connection.execute(
        select(_suppression.reason).where(_suppression.address_key.in_((address_key, *shadows)))
    ).scalars()
    return max(map(SuppressionReason, reasons), key=lambda reason: reason.strength, default=None)


def lift(connection: Connection, address_key: str, shadows: Sequence[str] = ()) -> None:
    """End every suppression of an address."""
    connection.execute(
        delete(tables.suppression).where(_suppression.address_key.in_((address_key, *shadows)))
    )


def uncover(connection: Connection, address_key: str, shadows: Sequence[str]) -> None:
    """Put what stands against an address under a shadow of it in clear: its owner came back, who had been
    erased, and who sends looks for the address itself."""
    hidden = connection.execute(select(tables.suppression).where(_suppression.address_key.in_(shadows))).all()
    for row in hidden:
        reason = SuppressionReason(row.reason)
        suppress(connection, address_key, reason, source=row.source, at=row.since)
    connection.execute(delete(tables.suppression).where(_suppression.address_key.in_(shadows)))


def as_subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(
        id=row.id,
        address=row.address or "",
        address_key=row.address_key or "",
        name=row.name,
        language=row.language,
        state=SubscriberState(row.state),
        confirm_round=row.confirm_round,
        asks=row.asks,
        created_at=row.created_at,
        asked_at=row.asked_at,
        confirmed_at=row.confirmed_at,
        unsubscribed_at=row.unsubscribed_at,
        reminded_at=row.reminded_at,
        frequency=Frequency(row.frequency),
        paused_until=row.paused_until,
    )
