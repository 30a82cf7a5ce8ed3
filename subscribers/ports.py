"""What joining and leaving need from a store. Whoever keeps subscribers writes this."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from subscribers.addresses import Address
from subscribers.consent import ConsentRecord
from subscribers.subscriber import Subscriber
from subscribers.suppression import SuppressionReason


class AddOutcome(StrEnum):
    """What became of someone whose consent was given elsewhere."""

    ADDED = "added"
    CONFIRMED = "confirmed"
    """Was pending, is active now."""
    ALREADY_ACTIVE = "already_active"
    SUPPRESSED = "suppressed"
    """Left, complained or bounced before: an import never brings them back."""


class SubscriberStore(Protocol):
    """Every method is one transaction, committed when it returns; `at` is UTC."""

    def by_id(self, subscriber_id: int) -> Subscriber | None: ...

    def by_key(self, address_key: str) -> Subscriber | None: ...

    def suppression(self, address_key: str) -> SuppressionReason | None:
        """The standing reason not to mail this address, if there is one."""
        ...

    def request(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> Subscriber | None:
        """Take up a sign-up at `consent.occurred_at`: the move `subscriber.requested`, on a new row or the
        existing one, with the consent record beside it. None, and nothing changed, when that move leaves
        them as they were: active, or asked too lately. An existing name and language stay: anyone may fill
        in the form."""
        ...

    def confirm(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        """The move `subscriber.confirmed`; ends a suppression that consent lifts. True if someone moved."""
        ...

    def unsubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        """The move `subscriber.unsubscribed`, and a suppression by address key (one that stands already is
        kept). False, and nothing changed, for those who have left or were erased."""
        ...

    def resubscribe(self, subscriber_id: int, *, at: datetime, how: str) -> bool:
        """The move `subscriber.resubscribed`; ends the suppression that leaving made. False, and nothing
        changed, when it is too late or another suppression stands."""
        ...

    def add_confirmed(
        self, address: Address, *, name: str, language: str, consent: ConsentRecord
    ) -> AddOutcome:
        """Add someone whose consent was given elsewhere (`consent` says where and when). Any standing
        suppression wins."""
        ...
