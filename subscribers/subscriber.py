"""A subscriber, the states they are in and the moves between them. Decisions only: nothing here acts.

request ──▶ pending ──confirm──▶ active ──unsubscribe──▶ unsubscribed
               ▲                    ▲                      │      │
               │                    └──undo, for one day───┘      │
               └──────────────── request again ───────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from subscribers.suppression import SuppressionReason

CONFIRM_LIFE = timedelta(days=14)
"""How long a confirmation link works; after it the pending record is erased."""
ASK_EVERY = timedelta(days=1)
"""At most one confirmation message to an address in this time."""
ASKS_AT_MOST = 3
"""Confirmation messages to an address until it confirms."""
UNDO_LIFE = timedelta(days=1)
"""How long the goodbye page can bring someone back. A letter that leaks years later cannot."""


class SubscriberState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    ERASED = "erased"
    """A number that once was someone; no address is left."""


class Frequency(StrEnum):
    """How often somebody wants the letter."""

    EVERY = "every"
    SECOND = "second"
    """Every second edition."""
    MONTH = "month"
    """The first edition of each month."""


class Standing(StrEnum):
    """What a true confirmation link is worth now."""

    OPEN = "open"
    DONE = "done"
    """Already confirmed; saying so again does no harm."""
    OVER = "over"
    """Too old, or answered and left since: ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """One address that asked for the letter. Instants are in UTC."""

    id: int
    address: str
    address_key: str
    name: str
    language: str
    state: SubscriberState
    confirm_round: int = 0
    """Goes up by one with every request that is taken up; a confirmation link answers one of them."""
    asks: int = 0
    """Requests taken up since the last confirmation."""
    created_at: datetime
    asked_at: datetime | None = None
    """The last request that was taken up."""
    confirmed_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    reminded_at: datetime | None = None
    """When a request that was not answered was brought to mind, once until they confirm."""
    frequency: Frequency = Frequency.EVERY
    paused_until: datetime | None = None
    """No letter before this moment; then they come again by themselves."""


def may_ask(known: Subscriber | None, suppressed: SuppressionReason | None, *, at: datetime) -> bool:
    """True if a sign-up for this address may lead to a confirmation message now.

    Nobody is asked who already gets the letter, who complained, or whose mailbox refuses us; and an
    address gets few messages, however often someone types it in.
    """
    if suppressed is not None and not suppressed.lifted_by_consent:
        return False
    if known is None or known.state is SubscriberState.ERASED:
        return True
    if known.state is SubscriberState.ACTIVE or messages(known) >= ASKS_AT_MOST:
        return False
    latest = max((moment for moment in (known.asked_at, known.reminded_at) if moment), default=None)
    return latest is None or at - latest >= ASK_EVERY


def messages(subscriber: Subscriber) -> int:
    """How many messages asked this person to confirm since they last did; the reminder is one of them."""
    return subscriber.asks + (subscriber.reminded_at is not None)


def confirmation(subscriber: Subscriber, request: int, *, at: datetime) -> Standing:
    """What the link that answers `request` is worth at this moment.

    Every link of the requests since the last confirmation works: people press the one they find first.
    """
    recent = subscriber.confirm_round - subscriber.asks < request <= subscriber.confirm_round
    match subscriber.state:
        case SubscriberState.ACTIVE:
            return Standing.DONE
        case SubscriberState.PENDING if recent and _within(subscriber.asked_at, CONFIRM_LIFE, at):
            return Standing.OPEN
        case _:
            return Standing.OVER


def may_undo(subscriber: Subscriber, *, at: datetime) -> bool:
    """True while the goodbye page may bring this person back: they had confirmed, and left just now."""
    return (
        subscriber.state is SubscriberState.UNSUBSCRIBED
        and subscriber.confirmed_at is not None
        and _within(subscriber.unsubscribed_at, UNDO_LIFE, at)
    )


def requested(subscriber: Subscriber, *, at: datetime) -> Subscriber:
    """After a sign-up: pending, one round further, if `may_ask`; else as they were. So of two sign-ups at
    once, the second changes nothing."""
    if not may_ask(subscriber, None, at=at):
        return subscriber
    return replace(
        subscriber,
        state=SubscriberState.PENDING,
        confirm_round=subscriber.confirm_round + 1,
        asks=subscriber.asks + 1,
        asked_at=at,
        confirmed_at=None,
        unsubscribed_at=None,
    )


def confirmed(subscriber: Subscriber, *, at: datetime) -> Subscriber:
    """After the button on the confirmation page; only someone pending moves. Preferences of an earlier time
    are over: the page that was confirmed speaks of every letter."""
    if subscriber.state is not SubscriberState.PENDING:
        return subscriber
    return replace(
        subscriber,
        state=SubscriberState.ACTIVE,
        asks=0,
        reminded_at=None,
        confirmed_at=at,
        frequency=Frequency.EVERY,
        paused_until=None,
    )


def unsubscribed(subscriber: Subscriber, *, at: datetime) -> Subscriber:
    """After leaving, from any state; leaving twice keeps the first moment."""
    if subscriber.state in {SubscriberState.UNSUBSCRIBED, SubscriberState.ERASED}:
        return subscriber
    return replace(subscriber, state=SubscriberState.UNSUBSCRIBED, unsubscribed_at=at)


def resubscribed(subscriber: Subscriber, *, at: datetime) -> Subscriber:
    """After "undo" on the goodbye page, while `may_undo`."""
    if not may_undo(subscriber, at=at):
        return subscriber
    return replace(subscriber, state=SubscriberState.ACTIVE, unsubscribed_at=None)


def _within(since: datetime | None, span: timedelta, at: datetime) -> bool:
    return since is not None and at - since < span
