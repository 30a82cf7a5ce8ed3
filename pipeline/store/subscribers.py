"""Subscribers, their consent and the suppressions. Every method is one synced transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from emails.delivery import DeliveryState
from pipeline.store import tables
from pipeline.store.engine import insert_new, readers
from subscribers.addresses import Address
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.ports import AddOutcome
from subscribers.subscriber import (
    Frequency,
    Subscriber,
    SubscriberState,
    confirmed,
    requested,
    resubscribed,
    unsubscribed,
)
from subscribers.suppression import SuppressionReason

PAGE = 1_000
"""Rows read at a time; a list of a million never stands in memory."""

_subscriber, _suppression, _delivery = tables.subscriber.c, tables.suppression.c, tables.delivery.c


class Subscribers:
    """The store behind joining and leaving (`subscribers.ports.SubscriberStore`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def by_id(self, subscriber_id: int) -> Subscriber | None:
        with self._readers.connect() as connection:
            return _by_id(connection, subscriber_id)

    def by_key(self, address_key: str) -> Subscriber | None:
        with self._readers.connect() as connection:
            return _by_key(connection, address_key)

    def suppression(self, address_key: str) -> SuppressionReason | None:
        with self._readers.connect() as connection:
            return _suppressed(connection, address_key)

    def request(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> Subscriber | None:
        at = consent.occurred_at
        with self._engine.begin() as connection:
            known = _by_key(connection, address.key, lock=True) or _insert(
                connection, address, name=name, language=language, at=at
            )
            asked = requested(known, at=at)
            if asked == known:
                return None
            _save(connection, asked)
            _add_consent(connection, asked.id, consent)
            return asked

    def confirm(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        with self._engine.begin() as connection:
            known = _by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := confirmed(known, at=at)) == known:
                return False
            _save(connection, moved)
            _add_consent(connection, known.id, _record(ConsentKind.CONFIRMED, how, known, at))
            reason = _suppressed(connection, known.address_key)
            if reason is not None and reason.lifted_by_consent:
                _lift(connection, known.address_key)
            return True

    def unsubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        with self._engine.begin() as connection:
            known = _by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := unsubscribed(known, at=at)) == known:
                return False
            _save(connection, moved)
            _add_consent(connection, known.id, _record(ConsentKind.UNSUBSCRIBED, how, known, at))
            _suppress(connection, known.address_key, SuppressionReason.UNSUBSCRIBED, source=how, at=at)
            return True

    def resubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        with self._engine.begin() as connection:
            known = _by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := resubscribed(known, at=at)) == known:
                return False
            reason = _suppressed(connection, known.address_key)
            if reason is not None and reason is not SuppressionReason.UNSUBSCRIBED:
                return False
            _save(connection, moved)
            _add_consent(connection, known.id, _record(ConsentKind.RESUBSCRIBED, how, known, at))
            _lift(connection, known.address_key)
            return True

    def add_confirmed(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> AddOutcome:
        with self._engine.begin() as connection:
            return _add_confirmed(connection, address, name=name, language=language, consent=consent)

    def add_many(
        self, people: Iterable[tuple[Address, str, str]], *, consent: ConsentRecord
    ) -> Iterator[AddOutcome]:
        """`add_confirmed` for many (address, name, language), a thousand to a transaction. Lazy: the
        outcomes of a transaction come after its commit."""
        for chunk in _chunks(people):
            with self._engine.begin() as connection:
                outcomes = [
                    _add_confirmed(connection, address, name=name, language=language, consent=consent)
                    for address, name, language in chunk
                ]
            yield from outcomes

    def suppress(self, address_key: str, reason: SuppressionReason, *, source: str, at: datetime) -> bool:
        """True if the address was not suppressed before."""
        with self._engine.begin() as connection:
            return _suppress(connection, address_key, reason, source=source, at=at)

    def erase(self, subscriber_id: int, *, shadow: str, at: datetime) -> bool:
        """Forget who this was: name and address go from the subscriber and from every edition, at one stroke.

        Numbers, states and the record that consent was given stay, so that every sum is still right. Who
        waits for an edition is skipped. Only a letter that is on its way or in doubt keeps its address until
        that is settled: without it nobody could find out, for the whole batch (`Editions.finish`).
        `shadow` is a keyed hash of the address key; it stands among the suppressions as `erased`. False when
        nobody is left under that number. Articles 17(1) and 5(2) of the GDPR.
        """
        with self._engine.begin() as connection:
            known = _by_id(connection, subscriber_id, lock=True)
            if known is None or known.state is SubscriberState.ERASED:
                return False
            _lift(connection, known.address_key)
            _suppress(connection, shadow, SuppressionReason.ERASED, source="erased", at=at)
            connection.execute(
                update(tables.subscriber)
                .where(_subscriber.id == subscriber_id)
                .values(**tables.NOBODY, state=SubscriberState.ERASED)
            )
            connection.execute(
                update(tables.delivery)
                .where(_delivery.subscriber_id == subscriber_id)
                .where(_delivery.state.in_((DeliveryState.PENDING, DeliveryState.CLAIMED)))
                .values(state=DeliveryState.SKIPPED, reason="erased")
            )
            connection.execute(
                update(tables.delivery)
                .where(_delivery.subscriber_id == subscriber_id)
                .where(_delivery.state != DeliveryState.SUBMITTED)
                .values(**tables.NOBODY)
            )
            return True

    def listed(self, *, state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """Everyone, or everyone in a state, by number."""
        last = 0
        while True:
            query = select(tables.subscriber).where(_subscriber.id > last)
            if state is not None:
                query = query.where(_subscriber.state == state)
            with self._readers.connect() as connection:
                rows = connection.execute(query.order_by(_subscriber.id).limit(PAGE)).all()
            if not rows:
                return
            yield from map(_as_subscriber, rows)
            last = rows[-1].id

    def consents(self, subscriber_id: int) -> list[ConsentRecord]:
        """What this person agreed to and withdrew, oldest first."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(tables.consent)
                .where(tables.consent.c.subscriber_id == subscriber_id)
                .order_by(tables.consent.c.id)
            )
            return [
                ConsentRecord(
                    kind=ConsentKind(row.kind),
                    wording=row.wording,
                    source=row.source,
                    page=row.page,
                    language=row.language,
                    occurred_at=row.occurred_at,
                )
                for row in rows
            ]

    def audience_size(self) -> int:
        """How many an edition would go to now."""
        suppressed = select(_suppression.address_key).where(
            _suppression.address_key == _subscriber.address_key
        )
        with self._readers.connect() as connection:
            size: int = connection.execute(
                select(func.count())
                .select_from(tables.subscriber)
                .where(_subscriber.state == SubscriberState.ACTIVE, ~suppressed.exists())
            ).scalar_one()
        return size

    def by_state(self) -> dict[SubscriberState, int]:
        with self._readers.connect() as connection:
            rows = connection.execute(select(_subscriber.state, func.count()).group_by(_subscriber.state))
            found = {SubscriberState(state): number for state, number in rows}
        return {state: found.get(state, 0) for state in SubscriberState}


def _add_confirmed(
    connection: Connection, address: Address, *, name: str, language: str, consent: ConsentRecord
) -> AddOutcome:
    if _suppressed(connection, address.key) is not None:
        return AddOutcome.SUPPRESSED
    known = _by_key(connection, address.key, lock=True)
    if known is not None and known.state is SubscriberState.ACTIVE:
        return AddOutcome.ALREADY_ACTIVE
    before = known or _insert(connection, address, name=name, language=language, at=consent.occurred_at)
    _save(
        connection,
        replace(
            before,
            state=SubscriberState.ACTIVE,
            asks=0,
            confirmed_at=consent.occurred_at,
            unsubscribed_at=None,
        ),
    )
    _add_consent(connection, before.id, consent)
    return AddOutcome.CONFIRMED if known else AddOutcome.ADDED


def _by_id(connection: Connection, subscriber_id: int, *, lock: bool = False) -> Subscriber | None:
    query = select(tables.subscriber).where(_subscriber.id == subscriber_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _as_subscriber(row)


def _by_key(connection: Connection, address_key: str, *, lock: bool = False) -> Subscriber | None:
    query = select(tables.subscriber).where(_subscriber.address_key == address_key)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _as_subscriber(row)


def _insert(
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
    made = _by_key(connection, address.key, lock=True)
    if made is None:
        raise LookupError("a subscriber that was just written is not there")
    return made


def _save(connection: Connection, subscriber: Subscriber) -> None:
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


def _add_consent(connection: Connection, subscriber_id: int, record: ConsentRecord) -> None:
    connection.execute(
        insert(tables.consent).values(
            subscriber_id=subscriber_id,
            kind=record.kind,
            wording=record.wording,
            source=record.source,
            page=record.page,
            language=record.language,
            occurred_at=record.occurred_at,
        )
    )


def _record(kind: ConsentKind, how: str, who: Subscriber, at: datetime) -> ConsentRecord:
    return ConsentRecord(kind=kind, wording="", source=how, page="", language=who.language, occurred_at=at)


def _suppressed(connection: Connection, address_key: str) -> SuppressionReason | None:
    reason = connection.execute(
        select(_suppression.reason).where(_suppression.address_key == address_key)
    ).scalar_one_or_none()
    return None if reason is None else SuppressionReason(reason)


def _suppress(
    connection: Connection, address_key: str, reason: SuppressionReason, *, source: str, at: datetime
) -> bool:
    return insert_new(
        connection,
        tables.suppression,
        {"address_key": address_key, "reason": reason, "source": source, "since": at},
    )


def _lift(connection: Connection, address_key: str) -> None:
    connection.execute(delete(tables.suppression).where(_suppression.address_key == address_key))


def _chunks(
    people: Iterable[tuple[Address, str, str]],
) -> Iterator[Sequence[tuple[Address, str, str]]]:
    chunk: list[tuple[Address, str, str]] = []
    for person in people:
        chunk.append(person)
        if len(chunk) == PAGE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _as_subscriber(row: Row[Any]) -> Subscriber:
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
