"""Subscribers, their consent and the suppressions. Every method is one synced transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select

from pipeline.store import tables
from pipeline.store.consents import append, as_record
from pipeline.store.engine import readers, writing
from pipeline.store.erasing import erase, erase_stranger
from pipeline.store.lock import in_turn
from pipeline.store.people import (
    as_subscriber,
    by_id,
    by_key,
    insert_person,
    lift,
    record,
    save,
    suppressed,
    uncover,
)
from pipeline.store.shadows import Shadows
from pipeline.store.suppressions import suppress
from pipeline.store.together import Together
from subscribers.addresses import Address
from subscribers.consent import FORM, ConsentKind, ConsentRecord
from subscribers.ports import AddOutcome
from subscribers.subscriber import (
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

_subscriber, _suppression = tables.subscriber.c, tables.suppression.c


class Subscribers:
    """The store behind joining and leaving (`subscribers.ports.SubscriberStore`)."""

    def __init__(self, engine: Engine, shadows: Shadows) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._shadows = shadows
        self._together = Together(engine)

    def by_id(self, subscriber_id: int) -> Subscriber | None:
        with self._readers.connect() as connection:
            return by_id(connection, subscriber_id)

    def by_key(self, address_key: str) -> Subscriber | None:
        with self._readers.connect() as connection:
            return by_key(connection, address_key)

    def suppression(self, address_key: str) -> SuppressionReason | None:
        with self._readers.connect() as connection:
            return suppressed(connection, address_key, self._shadows.of(address_key))

    def request(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> Subscriber | None:
        at = consent.occurred_at
        with writing(self._engine) as connection:
            known = by_key(connection, address.key, lock=True) or insert_person(
                connection, address, name=name, language=language, at=at
            )
            asked = requested(known, at=at)
            if asked == known:
                return None
            save(connection, asked)
            append(connection, [(asked.id, consent)])
            return asked

    def confirm(
        self,
        subscriber_id: int,
        *,
        at: datetime,
        how: str,
        wording: str = "",
        page: str = "",
        network: str = "",
    ) -> bool:
        with writing(self._engine) as connection:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := confirmed(known, at=at)) == known:
                return False
            save(connection, moved)
            shadows = self._shadows.of(known.address_key)
            reason = suppressed(connection, known.address_key, shadows)
            if reason is not None and reason.lifted_by_consent:
                lift(connection, known.address_key, shadows)
            elif reason is not None:
                uncover(connection, known.address_key, shadows)
            said = replace(
                record(ConsentKind.CONFIRMED, how, known, at),
                wording=wording,
                page=page,
                network=network,
                form=FORM if wording else "",
            )
            append(connection, [(known.id, said)])
            return True

    def unsubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        def leave(connection: Connection) -> bool:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := unsubscribed(known, at=at)) == known:
                return False
            save(connection, moved)
            suppress(connection, known.address_key, SuppressionReason.UNSUBSCRIBED, source=how, at=at)
            append(connection, [(known.id, record(ConsentKind.UNSUBSCRIBED, how, known, at))])
            return True

        return self._together.write(leave)

    def resubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        with writing(self._engine) as connection:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or (moved := resubscribed(known, at=at)) == known:
                return False
            reason = suppressed(connection, known.address_key)
            if reason is not None and reason is not SuppressionReason.UNSUBSCRIBED:
                return False
            save(connection, moved)
            lift(connection, known.address_key)
            append(connection, [(known.id, record(ConsentKind.RESUBSCRIBED, how, known, at))])
            return True

    def add_confirmed(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> AddOutcome:
        with writing(self._engine) as connection:
            self._shadows.require(connection)
            outcome, subscriber_id = self._add_confirmed(
                connection, address, name=name, language=language, consent=consent
            )
            if subscriber_id is not None:
                append(connection, [(subscriber_id, consent)])
            return outcome

    def add_many(
        self, people: Iterable[tuple[Address, str, str]], *, consent: ConsentRecord
    ) -> Iterator[AddOutcome]:
        """`add_confirmed` for many (address, name, language), a thousand to a transaction. Lazy: the
        outcomes of a transaction come after its commit."""
        for chunk in _chunks(people):
            with writing(self._engine) as connection:
                in_turn(connection)
                self._shadows.require(connection)
                made = [
                    self._add_confirmed(connection, address, name=name, language=language, consent=consent)
                    for address, name, language in chunk
                ]
                append(connection, ((number, consent) for _, number in made if number is not None))
            yield from (outcome for outcome, _ in made)

    def suppress(self, address_key: str, reason: SuppressionReason, *, source: str, at: datetime) -> bool:
        """True if the address was not suppressed before."""
        with writing(self._engine) as connection:
            return suppress(connection, address_key, reason, source=source, at=at)

    def erase(self, subscriber_id: int, *, shadow: str, at: datetime) -> bool:
        """Forget who this was, everywhere in the database (`pipeline.store.erasing`). `shadow` is the keyed
        hash of the address key (`Signer.shadow`); it stands among the suppressions as `erased`. False when
        nobody is left under that number."""
        return erase(self._engine, subscriber_id, shadow=shadow, at=at)

    def erase_stranger(self, address_key: str, *, shadow: str, at: datetime) -> bool:
        """As `erase`, for an address that is no subscriber's but may be suppressed, or named by others."""
        return erase_stranger(self._engine, address_key, shadow=shadow, at=at)

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
            yield from map(as_subscriber, rows)
            last = rows[-1].id

    def consents(self, subscriber_id: int) -> list[ConsentRecord]:
        """What this person agreed to and withdrew, oldest first."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(tables.consent)
                .where(tables.consent.c.subscriber_id == subscriber_id)
                .order_by(tables.consent.c.id)
            )
            return [as_record(row) for row in rows]

    def audience_size(self) -> int:
        """How many want the letter now, whatever they chose of pauses and frequency."""
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
        self, connection: Connection, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> tuple[AddOutcome, int | None]:
        """What became of them, and the number of whoever `consent` is still to be noted for."""
        if suppressed(connection, address.key, self._shadows.of(address.key)) is not None:
            return AddOutcome.SUPPRESSED, None
        known = by_key(connection, address.key, lock=True)
        before = known or insert_person(
            connection, address, name=name, language=language, at=consent.occurred_at
        )
        if before.state is SubscriberState.ACTIVE:
            return AddOutcome.ALREADY_ACTIVE, None
        save(
            connection,
            replace(
                before,
                state=SubscriberState.ACTIVE,
                asks=0,
                confirmed_at=consent.occurred_at,
                unsubscribed_at=None,
            ),
        )
        return (AddOutcome.CONFIRMED if known else AddOutcome.ADDED), before.id


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
