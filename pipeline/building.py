"""From people in the ledger to the call that reaches them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from emails.delivery import Esp, Recipient, Request, Sought
from emails.edition import Mailing
from pipeline.store.audience import People

Addressing = Callable[[People], Sequence[Recipient]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds the calls of one edition. Pure: the same people give the same bytes, however often."""

    esp: Esp
    mailing: Mailing
    address_to: Addressing

    def request(self, people: People, key: str = "") -> Request:
        """Under `key`, or the one that these people have."""
        return self.esp.build(self.mailing, self.address_to(people), key or self._key(people))

    def room(self, people: People, most: int) -> int:
        """How many people fit into a call of `most` bytes, measured on the first two."""
        if len(people) < 2:
            return 1
        one, two = (len(self.request(people[:n]).body) for n in (1, 2))
        each = max(1, two - one)
        return max(1, (most - (one - each)) // each)

    def sought(self, people: People, *, key: str, since: datetime) -> Sought:
        """What to look for in the provider's records."""
        return Sought(
            installation=self.mailing.installation,
            edition=self.mailing.edition,
            key=key,
            since=since,
            recipients=self.address_to(people),
        )

    def _key(self, people: People) -> str:
        """Derived, never random (R12): the same people in the same edition always give the same key."""
        members = "\n".join(sorted(people.delivery_ids))
        digest = hashlib.sha256(members.encode()).hexdigest()[:24]
        return f"wb1-{self.mailing.installation}-{self.mailing.edition}-{people[0].ordinal}-{digest}"
