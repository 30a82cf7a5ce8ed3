"""What joining and leaving need from a store. Whoever keeps subscribers writes this."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from subscribers.addresses import Address
from subscribers.consent import ConsentRecord
from subscribers.holdings import Holdings
from subscribers.moving import AddressChange
from subscribers.subscriber import Frequency, Subscriber
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
        """The move `subscriber.confirmed`; ends a suppression that consent lifts. True if someone moved.
        `wording`, `page` and `network` go into the consent record: what they saw, where, from where."""
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


class PreferenceStore(Protocol):
    """What readers set and ask for themselves. As above; only those who get the letter can set anything."""

    def prefer(self, subscriber_id: int, *, frequency: Frequency, language: str) -> bool:
        """How often, and the language of pages and notices."""
        ...

    def pause(self, subscriber_id: int, *, until: datetime | None) -> bool:
        """No letter before that moment; None lifts a pause."""
        ...

    def rename(self, subscriber_id: int, *, name: str) -> bool: ...

    def holdings(self, subscriber_id: int) -> Holdings | None:
        """Everything that is held about someone; None for those who were erased or never were."""
        ...

    def ask_move(self, subscriber_id: int, address: Address, *, at: datetime) -> AddressChange | None:
        """Note a wish to get the letter at `address`; earlier ones of theirs are forgotten."""
        ...

    def change(self, change_id: int) -> AddressChange | None: ...

    def move(self, change_id: int, *, at: datetime, wording: str, page: str) -> bool:
        """Do what `moving.move_standing` calls open. If the new address is somebody here already, that
        subscription goes on, or begins, and the old one ends. False, and nothing changed, when it is not open
        or a suppression of the new address stands that consent does not lift. `wording` and `page` are the
        evidence, as with `confirm`."""
        ...

    def erase(self, subscriber_id: int, *, shadow: str, at: datetime) -> bool:
        """Forget who this was; `shadow` (`Signer.shadow`) is all that is left. False when nobody was left."""
        ...


class JoinCounter(Protocol):
    """How many sign-ups there were, by scope and window: kept, so that limits hold across restarts."""

    def count(self, scope: str, *, since: datetime, most: int) -> bool:
        """One more in the window that began at `since`, unless there were `most` already: True if there was
        room. Of many at once, exactly as many get True as there is room for."""
        ...
