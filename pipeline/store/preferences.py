"""What readers set and ask for themselves: how often, a pause, what we hold, another address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from pipeline.store import tables
from pipeline.store.consents import append, as_record
from pipeline.store.engine import readers, writing
from pipeline.store.erasing import erase
from pipeline.store.people import as_subscriber, by_id, lift, record, save, suppressed
from pipeline.store.shadows import Shadows
from pipeline.store.suppressions import suppress
from subscribers.addresses import Address
from subscribers.consent import FORM, ConsentKind
from subscribers.holdings import Holdings, Received, Report, Stop
from subscribers.moving import AddressChange, move_standing
from subscribers.subscriber import Frequency, Standing, Subscriber, SubscriberState, unsubscribed
from subscribers.suppression import SuppressionReason

MOVED = "address change"
"""How someone whose new address gets the letter already has left with the old one."""

_subscriber, _delivery, _event, _change, _suppression = (
    tables.subscriber.c,
    tables.delivery.c,
    tables.event.c,
    tables.address_change.c,
    tables.suppression.c,
)


class Preferences:
    """The store behind `subscribers.ports.PreferenceStore`."""

    def __init__(self, engine: Engine, shadows: Shadows) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._shadows = shadows

    def prefer(self, subscriber_id: int, *, frequency: Frequency, language: str) -> bool:
        return self._set(subscriber_id, frequency=frequency, language=language)

    def pause(self, subscriber_id: int, *, until: datetime | None) -> bool:
        return self._set(subscriber_id, paused_until=until)

    def rename(self, subscriber_id: int, *, name: str) -> bool:
        return self._set(subscriber_id, name=name)

    def holdings(self, subscriber_id: int) -> Holdings | None:
        with self._readers.connect() as connection:
            row = connection.execute(
                select(tables.subscriber).where(_subscriber.id == subscriber_id)
            ).one_or_none()
            if row is None or row.state == SubscriberState.ERASED:
                return None
            consents = connection.execute(
                select(tables.consent)
                .where(tables.consent.c.subscriber_id == subscriber_id)
                .order_by(tables.consent.c.id)
            )
            keys = (row.address_key, *self._shadows.of(row.address_key))
            stops = connection.execute(select(tables.suppression).where(_suppression.address_key.in_(keys)))
            return Holdings(
                subscriber=as_subscriber(row),
                consents=[as_record(found) for found in consents],
                letters=_letters(connection, subscriber_id),
                stops=[Stop(reason=s.reason, source=s.source, since=s.since) for s in stops],
                changes=_changes(connection, subscriber_id),
                soft_bounces=row.soft_bounces,
                soft_since=row.soft_since,
            )

    def ask_move(self, subscriber_id: int, address: Address, *, at: datetime) -> AddressChange | None:
        with writing(self._engine) as connection:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or known.state is not SubscriberState.ACTIVE:
                return None
            connection.execute(
                update(tables.address_change).where(_change.subscriber_id == subscriber_id).values(_FORGOTTEN)
            )
            number = connection.execute(
                insert(tables.address_change)
                .values(
                    subscriber_id=subscriber_id,
                    address=address.address,
                    address_key=address.key,
                    requested_at=at,
                )
                .returning(_change.id)
            ).scalar_one()
            return AddressChange(
                id=number,
                subscriber_id=subscriber_id,
                address=address.address,
                address_key=address.key,
                requested_at=at,
            )

    def change(self, change_id: int) -> AddressChange | None:
        with self._readers.connect() as connection:
            return _one_change(connection, change_id)

    def move(self, change_id: int, *, at: datetime, wording: str, page: str) -> bool:
        with writing(self._engine) as connection:
            change = _one_change(connection, change_id)
            people = {} if change is None else _lock_both(connection, change)
            change = _one_change(connection, change_id)
            if change is None:
                return False
            mover = people.get(change.subscriber_id)
            if mover is None or move_standing(change, mover, at=at) is not Standing.OPEN:
                return False
            shadows = self._shadows.of(change.address_key)
            reason = suppressed(connection, change.address_key, shadows)
            if reason is not None and not reason.lifted_by_consent:
                return False
            there = next((one for one in people.values() if one.address_key == change.address_key), None)
            if there is None or there.id == mover.id:
                gets = _readdressed(connection, mover, change)
            else:
                gets = _settled(mover, there, at)
            save(connection, gets)
            if gets.id != mover.id:
                save(connection, unsubscribed(mover, at=at))
            connection.execute(
                update(tables.address_change).where(_change.id == change_id).values(**_FORGOTTEN, done_at=at)
            )
            lift(connection, change.address_key, shadows)
            said = replace(
                record(ConsentKind.CONFIRMED, MOVED, gets, at), wording=wording, page=page, form=FORM
            )
            records = [(gets.id, said)]
            if gets.id != mover.id:
                suppress(connection, mover.address_key, SuppressionReason.UNSUBSCRIBED, source=MOVED, at=at)
                records.append((mover.id, record(ConsentKind.UNSUBSCRIBED, MOVED, mover, at)))
            append(connection, records)
            return True

    def erase(self, subscriber_id: int, *, shadow: str, at: datetime) -> bool:
        return erase(self._engine, subscriber_id, shadow=shadow, at=at)

    def forget_changes(self, *, before: datetime) -> int:
        """Remove the address of every change that was asked for before that moment and never confirmed;
        gives how many."""
        with writing(self._engine) as connection:
            return connection.execute(
                update(tables.address_change)
                .where(_change.requested_at < before, _change.address.is_not(None))
                .values(_FORGOTTEN)
            ).rowcount

    def _set(self, subscriber_id: int, **values: object) -> bool:
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(tables.subscriber)
                .where(_subscriber.id == subscriber_id, _subscriber.state == SubscriberState.ACTIVE)
                .values(**values)
            ).rowcount
            return changed == 1


_FORGOTTEN: dict[str, Any] = {"address": None, "address_key": None}


def _lock_both(connection: Connection, change: AddressChange) -> dict[int, Subscriber]:
    """The mover and whoever is subscribed with the new address, in the one order."""
    rows = connection.execute(
        select(tables.subscriber)
        .where((_subscriber.id == change.subscriber_id) | (_subscriber.address_key == change.address_key))
        .order_by(_subscriber.id)
        .with_for_update()
    )
    return {row.id: as_subscriber(row) for row in rows}


def _readdressed(connection: Connection, mover: Subscriber, change: AddressChange) -> Subscriber:
    connection.execute(
        update(tables.subscriber)
        .where(_subscriber.id == mover.id)
        .values(address=change.address, address_key=change.address_key, soft_bounces=0, soft_since=None)
    )
    return replace(mover, address=change.address, address_key=change.address_key)


def _settled(mover: Subscriber, there: Subscriber, at: datetime) -> Subscriber:
    """The new address is known here: that subscription is the one that goes on."""
    if there.state is SubscriberState.ACTIVE:
        return there
    return replace(
        there,
        state=SubscriberState.ACTIVE,
        asks=0,
        confirmed_at=at,
        unsubscribed_at=None,
        frequency=mover.frequency,
        paused_until=mover.paused_until,
    )


def _one_change(connection: Connection, change_id: int) -> AddressChange | None:
    row = connection.execute(select(tables.address_change).where(_change.id == change_id)).one_or_none()
    if row is None:
        return None
    newest = connection.execute(
        select(func.max(_change.id)).where(_change.subscriber_id == row.subscriber_id)
    ).scalar_one()
    return _as_change(row, newest=newest)


def _changes(connection: Connection, subscriber_id: int) -> list[AddressChange]:
    rows = connection.execute(
        select(tables.address_change).where(_change.subscriber_id == subscriber_id).order_by(_change.id)
    ).all()
    return [_as_change(row, newest=rows[-1].id) for row in rows]


def _as_change(row: Row[Any], *, newest: int) -> AddressChange:
    return AddressChange(
        id=row.id,
        subscriber_id=row.subscriber_id,
        address=row.address or "",
        address_key=row.address_key or "",
        requested_at=row.requested_at,
        done_at=row.done_at,
        newest=row.id == newest,
    )


def _letters(connection: Connection, subscriber_id: int) -> Sequence[Received]:
    rows = connection.execute(
        select(tables.delivery, tables.edition.c.day, tables.edition.c.question)
        .join_from(tables.edition, tables.delivery, tables.edition.c.id == _delivery.edition_id)
        .where(_delivery.subscriber_id == subscriber_id)
        .order_by(tables.edition.c.id.desc())
    ).all()
    reports = _reports(connection, [row.delivery_id for row in rows])
    return [
        Received(
            day=row.day,
            question=row.question,
            state=row.state,
            reason=row.reason or "",
            address=row.address or "",
            name=row.name,
            message=row.provider_id or "",
            reports=reports[row.delivery_id],
        )
        for row in rows
    ]


def _reports(connection: Connection, deliveries: Sequence[str]) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = defaultdict(list)
    rows = connection.execute(
        select(tables.event).where(_event.delivery_id.in_(deliveries)).order_by(_event.received_at)
    )
    for row in rows:
        at = row.occurred_at or row.received_at
        found[row.delivery_id].append(Report(kind=row.kind, at=at, detail=row.detail or ""))
    return found
