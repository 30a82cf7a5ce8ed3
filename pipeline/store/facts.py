"""A few numbers about everything, for whoever watches. No row of a person is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from emails.delivery import EditionState
from pipeline.store import tables
from pipeline.store.engine import readers
from subscribers.subscriber import SubscriberState


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    subscribers: Mapping[SubscriberState, int]
    """By state; every state is there."""
    held: int
    """Editions on hold."""
    waiting: int
    """Reports of the provider that came in and were not worked off yet."""


def facts_of(engine: Engine) -> Facts:
    """How things stand now. Counts every subscriber: not for each request of a crowd."""
    state, edition = tables.subscriber.c.state, tables.edition.c
    with readers(engine).connect() as connection:
        found = {
            SubscriberState(name): number
            for name, number in connection.execute(select(state, func.count()).group_by(state))
        }
        held: int = connection.execute(
            select(func.count()).select_from(tables.edition).where(edition.state == EditionState.HELD)
        ).scalar_one()
        waiting: int = connection.execute(select(func.count()).select_from(tables.incoming)).scalar_one()
    return Facts(
        subscribers={state: found.get(state, 0) for state in SubscriberState}, held=held, waiting=waiting
    )
