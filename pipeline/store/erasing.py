"""Forgetting one person for good (GDPR, articles 17(1) and 5(2)).

Numbers, states and the record that consent was given stay, so that every sum is still right; name and address
go from every table, and with them the text of the networks they came from. What stays to keep an import from
bringing them back is a keyed hash (`pipeline.store.shadows`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, or_, select, update

from emails.delivery import BatchState, DeliveryState, EditionState
from pipeline.store import tables
from pipeline.store.consents import forget_networks_of
from pipeline.store.engine import is_sqlite, writing
from pipeline.store.people import by_id, lift, suppressed
from pipeline.store.suppressions import ERASED, suppress
from subscribers.scrubbing import scrubbed
from subscribers.subscriber import Frequency, Subscriber, SubscriberState
from subscribers.suppression import SuppressionReason

PAGE: Final = 200
SWEEP_MS: Final = 500
"""How long the sweep of the log waits for others to finish reading."""

_subscriber, _delivery, _event, _incoming, _change = (
    tables.subscriber.c,
    tables.delivery.c,
    tables.event.c,
    tables.incoming.c,
    tables.address_change.c,
)


def erase(engine: Engine, subscriber_id: int, *, shadow: str, at: datetime) -> bool:
    """Forget who this was, at one stroke. False when nobody is left under that number.

    Why they were suppressed before goes with the rest: no more than a hash may stay, and whoever confirms
    anew from their own mailbox has the last word.

    Who waits for an edition is skipped. Only in a batch that is on its way or in doubt the address stays
    until that is settled: without it nobody could find out, for the whole batch (`Editions.finish`).
    """
    with writing(engine) as connection:
        known = by_id(connection, subscriber_id, lock=True)
        if known is None or known.state is SubscriberState.ERASED:
            return False
        letters = _letters(connection, subscriber_id)
        _forget_in_editions(connection, subscriber_id)
        _forget_person(connection, known)
        _forget_changes(connection, known)
        _forget_reports(connection, [delivery_id for delivery_id, _ in letters])
        _forget_calls(connection, {known.address, known.address_key, *(old for _, old in letters if old)})
        lift(connection, known.address_key)
        suppress(connection, shadow, SuppressionReason.ERASED, source=ERASED, at=at)
    sweep(engine)
    return True


def erase_stranger(engine: Engine, address_key: str, *, shadow: str, at: datetime) -> bool:
    """Forget an address that is no subscriber's: a suppression that was imported, somebody's wish to move
    there, a report that waits. False when none of these named it."""
    with writing(engine) as connection:
        stopped = suppressed(connection, address_key) is not None
        wished = connection.execute(
            update(tables.address_change)
            .where(_change.address_key == address_key)
            .values(address=None, address_key=None)
        ).rowcount
        told = _forget_calls(connection, {address_key})
        if not (stopped or wished or told):
            return False
        if stopped:
            lift(connection, address_key)
            suppress(connection, shadow, SuppressionReason.ERASED, source=ERASED, at=at)
    sweep(engine)
    return True


def sweep(engine: Engine) -> bool:
    """Write SQLite's log into the database and empty it, so that what was overwritten is in neither. False
    when somebody was reading: then it is done at the next checkpoint. PostgreSQL does as much by VACUUM."""
    if not is_sqlite(engine):
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        waits = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {SWEEP_MS}")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {waits}")
        cursor.close()
    finally:
        connection.close()
    return not busy


def _letters(connection: Connection, subscriber_id: int) -> list[tuple[str, str | None]]:
    """Delivery id and address of everything that was sent to them or waits."""
    query = select(_delivery.delivery_id, _delivery.address).where(_theirs(subscriber_id))
    return [(delivery_id, address) for delivery_id, address in connection.execute(query)]


def _theirs(subscriber_id: int) -> ColumnElement[bool]:
    """By way of the editions: then the index over edition and subscriber finds the rows."""
    every = select(tables.edition.c.id)
    return _delivery.edition_id.in_(every) & (_delivery.subscriber_id == subscriber_id)


def _forget_in_editions(connection: Connection, subscriber_id: int) -> None:
    theirs = _theirs(subscriber_id)
    connection.execute(
        update(tables.delivery)
        .where(theirs, _delivery.state.in_((DeliveryState.PENDING, DeliveryState.CLAIMED)))
        .values(state=DeliveryState.SKIPPED, reason="erased")
    )
    connection.execute(
        update(tables.delivery)
        .where(theirs, _delivery.state != DeliveryState.SUBMITTED, _settled())
        .values(**tables.NOBODY)
    )


def _settled() -> ColumnElement[bool]:
    """Not in a batch that is on its way or in doubt: that may have to be asked for again, to the same byte,
    also with those in it of whom a report has shown already that they were sent to."""
    under_way = (BatchState.SUBMITTING, BatchState.UNCERTAIN)
    asked_again = select(tables.batch.c.id).where(tables.batch.c.state.in_(under_way))
    return or_(_delivery.batch_id.is_(None), _delivery.batch_id.not_in(asked_again))


def forget_settled(engine: Engine) -> int:
    """Forget those who were erased while a letter to them was in doubt, where the edition was cancelled and
    so is never finished. Gives how many that were."""
    gone = (_subscriber.address_key.is_(None), _subscriber.state == SubscriberState.ERASED)
    cancelled = select(tables.edition.c.id).where(tables.edition.c.state == EditionState.CANCELLED)
    with writing(engine) as connection:
        return connection.execute(
            update(tables.delivery)
            .where(_delivery.edition_id.in_(cancelled), _delivery.address.is_not(None))
            .where(_delivery.subscriber_id.in_(select(_subscriber.id).where(*gone)))
            .where(_delivery.state != DeliveryState.SUBMITTED, _settled())
            .values(**tables.NOBODY)
        ).rowcount


def _forget_person(connection: Connection, known: Subscriber) -> None:
    connection.execute(
        update(tables.subscriber)
        .where(_subscriber.id == known.id)
        .values(
            **tables.NOBODY,
            state=SubscriberState.ERASED,
            frequency=Frequency.EVERY,
            paused_until=None,
            soft_bounces=0,
            soft_since=None,
        )
    )
    forget_networks_of(connection, known.id)


def _forget_changes(connection: Connection, known: Subscriber) -> None:
    """Their own wishes to move, and those of others to this address."""
    connection.execute(
        update(tables.address_change)
        .where(or_(_change.subscriber_id == known.id, _change.address_key == known.address_key))
        .values(address=None, address_key=None)
    )


def _forget_reports(connection: Connection, deliveries: Sequence[str]) -> None:
    """What providers gave as reasons. We keep no address in it, but it is their text."""
    if deliveries:
        connection.execute(
            update(tables.event)
            .where(_event.delivery_id.in_(deliveries), _event.detail.is_not(None))
            .values(detail=None)
        )


def _forget_calls(connection: Connection, addresses: Collection[str]) -> int:
    """Calls of the provider that wait to be read: others may stand in the same one, so it stays. Gives how
    many named them."""
    last = named = 0
    while True:
        rows = connection.execute(
            select(_incoming.id, _incoming.body, _incoming.headers, _incoming.error)
            .where(_incoming.id > last)
            .order_by(_incoming.id)
            .limit(PAGE)
        ).all()
        for row in rows:
            texts = (bytes(row.body), row.headers.encode(), (row.error or "").encode())
            body, headers, error = (scrubbed(text, addresses) for text in texts)
            if (body, headers, error) != texts:
                named += 1
                connection.execute(
                    update(tables.incoming)
                    .where(_incoming.id == row.id)
                    .values(body=body, headers=headers.decode(), error=error.decode() or None)
                )
        if len(rows) < PAGE:
            return named
        last = rows[-1].id
