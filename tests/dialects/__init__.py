"""How each provider talks, from its own side: one file each, for `tests.fault_provider`.

A provider that goes over HTTP has `tests/dialects/NAME.py` with one class, a `FakeDialect`, named `Fake`. The
file is found by its name; nothing is to be registered. It is written from the provider's documents and never
imports the adapter, so that both cannot share a mistake.

What to write (`postmark.py` and `resend.py` are the models):

1. facts: `name`, `secrets: ClassVar = {…}` (the environment the adapter needs; secret values with "canary" in
   them), `base_path`, and what differs from the defaults below (`keyed`, `max_batch`, `refuses_whole`, …);
2. `authorised(call)`: are the credentials there and right?
3. `messages(call)`: every message of a sending call as its recipient would get it, that is *after* the
   provider's merge; raises `WrongRequest` with the provider's own answer for what it would refuse;
4. `success(outcomes)`: the answer to a call that was taken, whole or in part;
5. `trouble(trouble, messages)`: the provider's own answer for each `Trouble`, None where it has none;
6. `search(call, records)`: the answer to a call of its search or listing API, where the adapter uses one.

`tests/contract/test_esp_suite.py` then runs against it by itself. Quick look:
`python -m tests.fault_provider --dialect NAME --truth /tmp/truth.db`.
"""

from __future__ import annotations

import json
import pkgutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, cast
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it arrived."""

    method: str
    target: str
    """Path and query as on the request line."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the provider answers; a body that is no bytes becomes JSON."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as its recipient gets it."""

    address: str
    visible: tuple[str, ...]
    """Every address its To and Cc show; must be only `address`."""
    sender: str
    """`Name <address>`, name decoded and without quoting."""
    reply_to: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    """Headers that the sender asked for, e.g. List-Unsubscribe."""
    meta: Mapping[str, str]
    """What comes back with events and searches: `delivery`, `edition`, `batch`, `installation`, …"""
    tracking: bool | None
    """Does this message ask for open or click tracking? None: the provider has no flag for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of one message: an id, or a reason not to take it."""

    message: Message
    provider_id: str = ""
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message the provider took, as its search finds it."""

    message: Message
    provider_id: str
    key: str | None
    at: float
    """Seconds since 1970."""


class Trouble(StrEnum):
    """Reasons not to take a call; beside each, what the adapter must make of the answer."""

    BAD_ADDRESS = "bad_address"
    """REFUSED (only asked of providers that refuse the whole call)."""
    WRONG_KEY = "wrong_key"
    """HOLD."""
    UNVERIFIED = "unverified"
    """HOLD: the sender's domain or address is not verified, or the account may not send."""
    RATE_LIMIT = "rate_limit"
    """NOT_SENT. `Retry-After: 7` if `retry_after` is true."""
    QUOTA = "quota"
    """HOLD: the day's or month's messages are used up."""
    CHANGED = "changed"
    """HOLD, in doubt: the same key with another body."""
    RUNNING = "running"
    """BUSY: the first request with this key is still running."""
    BROKEN = "broken"
    """UNCERTAIN: a 5xx in the provider's own words."""


class WrongRequest(Exception):
    """The provider would refuse this request with `reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.data()[:300]!r}")
        self.reply = reply


class FakeDialect:
    """A provider's side. Override what differs; everything here is stateless."""

    name: ClassVar[str]
    """As in schedule.yaml."""
    secrets: ClassVar[Mapping[str, str]]
    """Name in the environment → a value; secret ones hold the word `canary`."""
    base_path: ClassVar[str] = ""
    """What stands behind host and port in `provider.base_url`, e.g. `/v3`."""
    max_batch: ClassVar[int]
    """The provider's own limit, as documented."""
    keyed: ClassVar[bool] = False
    """Honours an idempotency key."""
    key_life: ClassVar[float] = 86_400.0
    refuses_whole: ClassVar[bool] = True
    """One bad address costs the whole call; False: the others are taken and the answer says so."""
    id_per_message: ClassVar[bool] = True
    """False: one id for a whole call."""
    ids_told: ClassVar[bool] = True
    """False: the answer holds no id that messages can be found by."""
    echoes: ClassVar[bool] = False
    """The answer repeats something that tells messages apart, so their order does not matter."""
    custom_headers: ClassVar[bool] = True
    """Takes headers of our own (List-ID, Feedback-ID, …)."""
    own_unsubscribe: ClassVar[bool] = True
    """Takes our List-Unsubscribe. (What the recipient gets depends on the account.)"""
    tracking_flag: ClassVar[bool] = True
    """Tracking can be switched off in the request."""
    retry_after: ClassVar[bool] = True
    """A 429 tells how long to wait."""
    carries: ClassVar[frozenset[str]] = frozenset({"delivery", "edition", "batch", "installation"})
    """What of `Message.meta` the provider can hold."""

    def is_send(self, call: Call) -> bool:
        """Is this a call that sends? Everything else is offered to `search`."""
        return call.method == "POST"

    def authorised(self, call: Call) -> bool:
        raise NotImplementedError

    def key(self, call: Call) -> str | None:
        """The idempotency key of a call."""
        return call.headers.get("idempotency-key") if self.keyed else None

    def messages(self, call: Call) -> list[Message]:
        raise NotImplementedError

    def ids(self, count: int) -> list[str]:
        """Fresh ids for `count` messages of one call."""
        if self.id_per_message:
            return [str(uuid.uuid4()) for _ in range(count)]
        return [str(uuid.uuid4())] * count

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        raise NotImplementedError

    def repeated(self, first: Reply) -> Reply:
        """The answer to a key that was used before with the same body."""
        return first

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        raise NotImplementedError

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        """The answer to a call of the search API, newest record last; None: there is no such call."""
        return None

    def as_read(self, text: str) -> str:
        """What a reader sees of `text`, where the adapter had to write it otherwise to be safe from the
        provider's merge syntax. Applied to subject, html and text of both sides."""
        return text


@cache
def dialect(name: str) -> FakeDialect:
    """The provider called `name`. Raises ModuleNotFoundError for one that has no file here."""
    return cast(FakeDialect, import_module(f"tests.dialects.{name}").Fake())


def dialect_names() -> list[str]:
    """All providers that have a file here."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
