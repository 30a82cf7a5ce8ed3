"""What a provider says later of a letter it took, in our words: values, and the errors of reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    ACCEPTED = "accepted"
    """The provider has it."""
    DEFERRED = "deferred"
    """The receiving server put it off; the provider tries again by itself. No sign against the mailbox."""
    DELIVERED = "delivered"
    """The receiving server took it."""
    SOFT_BOUNCE = "soft_bounce"
    """Refused for now, and given up: a full mailbox, a server that was away."""
    HARD_BOUNCE = "hard_bounce"
    """Refused for good."""
    COMPLAINT = "complaint"
    """The reader pressed "spam"."""
    UNSUBSCRIBED = "unsubscribed"
    """The reader left by a link or button of the provider's."""
    REJECTED = "rejected"
    """The provider took the letter and then did not send it."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One report about one letter. Whatever is not told is None."""

    provider: str
    key: str
    """The provider's own name for this report, at most 200 characters: the same report has it each time."""
    kind: EventKind
    occurred_at: datetime | None = None
    installation: str | None = None
    edition: str | None = None
    delivery_id: str | None = None
    provider_id: str | None = None
    because: EventKind | None = None
    """Only with REJECTED: the address is on the provider's own list because of an earlier hard bounce,
    complaint or wish to leave."""
    address: str | None = field(default=None, repr=False)
    """Only where there is no delivery id: the provider's list of suppressed addresses names nothing else."""
    detail: str = ""
    """The provider's reason in its words, without an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One webhook call as it came."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    path_secret: str = field(default="", repr=False)
    """What stood behind the provider's name in the path."""


class Forged(Exception):
    """A call that does not prove where it comes from. Says what was wrong, never the secret."""


class Malformed(ValueError):
    """A body that is not in the provider's shape."""
