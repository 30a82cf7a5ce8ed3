"""One edition × one recipient on its way out: values that the ledger and the providers share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol, overload

from emails.edition import Mailing


class EditionState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    FREEZING = "freezing"
    SENDING = "sending"
    SETTLING = "settling"
    FINISHED = "finished"
    HELD = "held"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    PREPARED = "prepared"
    SUBMITTING = "submitting"
    UNCERTAIN = "uncertain"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WRITTEN_OFF = "written_off"


class DeliveryState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SKIPPED = "skipped"
    UNCONFIRMED = "unconfirmed"


class AnswerClass(StrEnum):
    """What an attempt amounts to (`docs/design.md`, "Reading the answer")."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """This request will never be taken; the same bytes would be refused again."""
    NOT_SENT = "not_sent"
    """Provably nothing was taken: trying later is safe."""
    BUSY = "busy"
    """The provider is still working on this very key: ask again with the same key."""
    HOLD = "hold"
    """No batch will do better until a person acts (wrong key, suspended account, changed payload)."""
    UNCERTAIN = "uncertain"
    """The provider may or may not have it."""


@dataclass(slots=True, kw_only=True)
class Recipient:
    """One person of a batch, with everything that differs per person.

    Not frozen, because that would be a third of what one costs and many providers need one for everybody;
    nobody changes one all the same.
    """

    delivery_id: str
    address: str
    name: str
    unsubscribe_url: str
    message_id: str
    """`<unique@domain>`, the same on every try (RFC 5322 3.6.4)."""


class Recipients(Sequence[Recipient]):
    """A batch of recipients, column by column.

    A call for many takes each column at a stroke; a `Recipient` is made when one is asked for. All links are
    `base` and a token behind it, and the Message-IDs are made of the delivery ids and `domain`.
    """

    __slots__ = ("_names", "addresses", "base", "delivery_ids", "domain", "tokens")

    def __init__(
        self,
        *,
        delivery_ids: Sequence[str],
        addresses: Sequence[str],
        names: Sequence[str],
        tokens: Sequence[str],
        base: str,
        domain: str,
    ) -> None:
        self.delivery_ids = delivery_ids
        self.addresses = addresses
        self.tokens = tokens
        self.base = base
        self.domain = domain
        self._names = names

    @property
    def unsubscribe_urls(self) -> list[str]:
        return [f"{self.base}{token}" for token in self.tokens]

    def __len__(self) -> int:
        return len(self.delivery_ids)

    @overload
    def __getitem__(self, place: int) -> Recipient: ...
    @overload
    def __getitem__(self, place: slice) -> list[Recipient]: ...
    def __getitem__(self, place: int | slice) -> Recipient | list[Recipient]:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        delivery_id = self.delivery_ids[place]
        return Recipient(
            delivery_id=delivery_id,
            address=self.addresses[place],
            name=self._names[place],
            unsubscribe_url=f"{self.base}{self.tokens[place]}",
            message_id=f"<{delivery_id}@{self.domain}>",
        )


class Receipt(NamedTuple):
    """What the provider said of one delivery."""

    delivery_id: str
    state: DeliveryState
    """ACCEPTED or REFUSED."""
    provider_id: str | None = None
    reason: str | None = None
    again: bool = False
    """Only with REFUSED, in an answer that accepts others: the provider did not take it for a reason that is
    not the recipient's (too busy, quota), so it may go again, and must in another batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt. `receipts` may be empty for an accepted batch whose ids are missing."""

    kind: AnswerClass
    receipts: tuple[Receipt, ...] = ()
    http_status: int | None = None
    error: str | None = None
    """Plain words for the operator; holds no secret and no address."""
    retry_after: float | None = None
    """Seconds, already capped."""
    body_sha256: str | None = None
    provider_id: str | None = None
    """The one id of the whole call, for a provider that names no others; then `receipts` may be empty."""
    alarm: str | None = None
    in_doubt: bool = False
    """Only with HOLD: the provider may have the batch nevertheless (a redirect, "same key, other body"),
    so it stays uncertain under its old key while a person looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How far a provider's own records can clear a doubt."""

    settle: timedelta
    """How long after the attempt its records are up to date: before, "not found" means nothing."""
    complete: bool = False
    """True only where the provider says that its listing leaves nothing out: then, after `settle`, what is
    not found was not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A batch in doubt, to be looked for in the provider's records."""

    installation: str
    edition: str
    key: str
    since: datetime
    """When it was first handed over, UTC."""
    recipients: Sequence[Recipient]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the provider's records say: the deliveries it has, with its ids where it tells them."""

    taken: Mapping[str, str | None] = field(default_factory=dict)
    """Delivery id → provider id."""
    error: str | None = None
    """The search itself failed, or cannot be made: what is not in `taken` is as much in doubt as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do; unverified facts take the cautious value."""

    name: str
    max_batch: int
    max_bytes: int = 2_000_000
    key_life: timedelta | None = None
    """How long the provider honours an idempotency key; None: it has none."""
    own_list_unsubscribe: str = "yes"
    """`yes`, `account-setting` or `no`: does our List-Unsubscribe header survive?"""
    eight_bit_local_part: bool | None = None
    """Takes local parts beyond ASCII (SMTPUTF8, RFC 6531). None: not documented, so it is asked; False: such
    people are skipped."""
    search: Search | None = None
    """None: nobody can ask this provider what became of a batch."""
    notes: tuple[str, ...] = ()

    @property
    def keyed(self) -> bool:
        return self.key_life is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One provider call, complete to the byte. Built purely; posted as it stands on every try."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Without secrets: the adapter adds those when it posts."""
    body: bytes = field(repr=False)
    key: str
    recipients: Sequence[Recipient] = field(default=(), repr=False)
    digest: str = ""
    """SHA-256 of the pieces the body was made of, as `emails.esp.splice.digest` takes it: equal only if the
    bodies are. Empty: take the body's own."""

    @property
    def sha256(self) -> str:
        """Equal only for equal bodies, in hexadecimal."""
        return self.digest or hashlib.sha256(self.body).hexdigest()


class Esp(Protocol):
    """A provider. `build` is pure; `submit` makes exactly one attempt and never raises for what the
    provider or the network did: that is an `Answer` too."""

    @property
    def capabilities(self) -> Capabilities: ...

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request: ...

    def submit(self, request: Request, deadline: float) -> Answer:
        """Post once; `deadline` is seconds for the whole call, however slowly the answer drips."""
        ...

    def find(self, sought: Sought, deadline: float) -> Found:
        """Look a batch in doubt up in the provider's records. Never raises for what the provider did."""
        ...

    def close(self) -> None: ...
