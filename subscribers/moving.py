"""A change of address: asked for by someone who showed who they are, confirmed from the new mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from subscribers.subscriber import Standing, Subscriber, SubscriberState

MOVE_LIFE: Final = timedelta(days=3)
"""How long the link in the new mailbox works. The letter with it says: at least two days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """One wish to get the letter at another address. Instants are in UTC."""

    id: int
    subscriber_id: int
    address: str
    """Empty once it is done or forgotten."""
    address_key: str
    requested_at: datetime
    done_at: datetime | None = None
    newest: bool = True
    """False: this person asked for another one since."""


def move_standing(change: AddressChange, subscriber: Subscriber | None, *, at: datetime) -> Standing:
    """What the link in the new mailbox is worth at this moment.

    Only the newest counts: someone who mistyped an address and mended it must not lose their letter to the
    stranger who got the first link.
    """
    if change.done_at is not None:
        return Standing.DONE
    gone = subscriber is None or subscriber.state is not SubscriberState.ACTIVE
    if gone or not change.newest or not change.address or at - change.requested_at >= MOVE_LIFE:
        return Standing.OVER
    return Standing.OPEN
