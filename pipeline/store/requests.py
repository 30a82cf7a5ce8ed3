"""Requests that nobody answered: who is reminded and who is forgotten, one synced transaction each."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, select, update

from pipeline.store import tables
from pipeline.store.consents import forget_networks_of
from pipeline.store.engine import writing
from pipeline.store.people import by_id, save, suppressed
from subscribers.consent import ConsentKind
from subscribers.subscriber import Subscriber, SubscriberState
from subscribers.suppression import SuppressionReason
from subscribers.waiting import Step, next_step

_GIVEN = (ConsentKind.CONFIRMED, ConsentKind.IMPORTED, ConsentKind.ADDED)


class Requests:
    """The moves of `subscribers.waiting`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def remind(self, subscriber_id: int, *, at: datetime) -> Subscriber | None:
        """Note that someone is reminded of their request: who it is, for the one caller that may write to
        them; None if they are not to be reminded (any more) or a suppression stands."""
        with writing(self._engine) as connection:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or next_step(known, at=at) is not Step.REMIND:
                return None
            reason = suppressed(connection, known.address_key)
            reminded = replace(known, reminded_at=at)
            save(connection, reminded)
            return reminded if reason is None or reason.lifted_by_consent else None

    def forget(self, subscriber_id: int, *, at: datetime) -> bool:
        """Take back a request that nobody answered in time. Who was never more than a request is erased, and
        nothing bars the address from asking again; someone who had left before is one who left, as before.
        False if the request is not (any more) to be forgotten."""
        with writing(self._engine) as connection:
            known = by_id(connection, subscriber_id, lock=True)
            if known is None or next_step(known, at=at) is not Step.FORGET:
                return False
            left = suppressed(connection, known.address_key) is SuppressionReason.UNSUBSCRIBED
            if left or _was_reader(connection, known.id):
                save(connection, replace(known, state=SubscriberState.UNSUBSCRIBED, unsubscribed_at=at))
            else:
                _empty(connection, known.id)
            return True


def _was_reader(connection: Connection, subscriber_id: int) -> bool:
    consent = tables.consent.c
    query = select(consent.id).where(consent.subscriber_id == subscriber_id, consent.kind.in_(_GIVEN))
    return connection.execute(query.limit(1)).first() is not None


def _empty(connection: Connection, subscriber_id: int) -> None:
    """A number is left, and a consent record that names nobody."""
    connection.execute(
        update(tables.subscriber)
        .where(tables.subscriber.c.id == subscriber_id)
        .values(**tables.NOBODY, state=SubscriberState.ERASED)
    )
    forget_networks_of(connection, subscriber_id)
