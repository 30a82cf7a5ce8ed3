"""Asking the provider for what it would have reported, and acting on it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from emails.delivery import Esp
from emails.events import Event
from emails.events.asking import EVER, pull
from pipeline.events import Digest, act
from pipeline.store import Store
from pipeline.store.events import Report
from pipeline.store.suppressions import Suppression
from subscribers.addresses import AddressError, normalise
from subscribers.reports import left, reason_of
from subscribers.suppression import SuppressionReason

log = logging.getLogger("weekbrief.events")

DEADLINE = 300.0
"""Seconds for all questions together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came of asking."""

    provider: str
    asked: int = 0
    """Entries that the provider told of."""
    digest: Digest = field(default_factory=Digest)
    error: str | None = None


def sync(store: Store, esp: Esp, *, now: datetime) -> Synced:
    """Ask the provider's records since the last time, and act as if they were reported. Safe to repeat."""
    provider = esp.capabilities.name
    pulled = pull(esp, cursor=store.events.cursor(provider), now=now, deadline=DEADLINE)
    if pulled.error:
        return Synced(provider=provider, error=pulled.error)
    reports = [
        Report(event=event, received_at=now, signed=True, asked=True) for event in _by_key(pulled.events)
    ]
    done = act(store, reports)
    store.events.move_cursor(provider, pulled.cursor, now=now)
    return Synced(provider=provider, asked=len(pulled.events), digest=done)


def suppressions_of(esp: Esp, *, now: datetime) -> Sequence[Suppression] | str:
    """Everyone whom the provider does not mail any more, or why it does not tell."""
    pulled = pull(esp, cursor=EVER.isoformat(), now=now, deadline=DEADLINE)
    if pulled.error:
        return pulled.error
    found = []
    for event in _by_key(pulled.events):
        reason = SuppressionReason.UNSUBSCRIBED if left(event) else reason_of(event)
        if event.address is not None and reason is not None:
            since = event.occurred_at or now
            source = f"{event.provider}'s list"
            found.append(Suppression(address_key=event.address, reason=reason, source=source, since=since))
    return found


def _by_key(events: Sequence[Event]) -> Iterator[Event]:
    """With each address as one person's key. What is no address is nobody's."""
    for event in events:
        if event.address is None:
            yield event
            continue
        try:
            yield replace(event, address=normalise(event.address).key)
        except AddressError:
            continue
