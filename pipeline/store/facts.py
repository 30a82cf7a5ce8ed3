"""A few numbers about everything, for whoever watches. No row of a person is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from emails.delivery import EditionState
from pipeline.store import tables
from pipeline.store.engine import readers
from pipeline.store.incoming import MAX_TRIES
from subscribers.subscriber import SubscriberState


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    subscribers: Mapping[SubscriberState, int]
    """By state; every state is there."""
    held: int
    """Editions on hold."""
    waiting: int
    """Calls of providers that are still to be read."""


def facts_of(engine: Engine) -> Facts:
    """How things stand now. Counts every subscriber: not for each request of a crowd."""
    state, edition = tables.subscriber.c.state, tables.edition.c
    with readers(engine).connect() as connection:
        found = {
            SubscriberState(name): number
            for name, number in connection.execute(select(state, func.count()).group_by(state))
        }
        held: int = connection.execute(
            select(func.count())
            .select_from(tables.edition)
            .where(edition.hold_reason.is_not(None))
            .where(edition.state.not_in((EditionState.FINISHED, EditionState.CANCELLED)))
        ).scalar_one()
        unread = tables.incoming.c.tries < MAX_TRIES
        waiting: int = connection.execute(
            select(func.count()).select_from(tables.incoming).where(unread)
        ).scalar_one()
    return Facts(
        subscribers={state: found.get(state, 0) for state in SubscriberState}, held=held, waiting=waiting
    )
