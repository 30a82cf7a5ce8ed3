"""The shape of a provider over HTTP: a pure dialect, and the one place that posts.

A dialect knows what the provider can do, how a request looks and what an answer means; it touches nothing.
`HttpEsp` posts, adds the secrets, and turns whatever happens into an `Answer`.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from emails.delivery import Answer, AnswerClass, Capabilities, Found, Recipient, Request, Sought
from emails.edition import Mailbox, Mailing
from emails.esp.http import Channel, HttpAnswer, NoAnswer
from emails.esp.reading import read_no_answer
from emails.esp.splice import digest
from emails.message import HeaderError, ascii_address

log = logging.getLogger(__name__)

USER_AGENT = "weekbrief"


class Dialect(Protocol):
    """What differs between providers over HTTP. Pure: no network, no clock, no randomness."""

    @property
    def capabilities(self) -> Capabilities: ...

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """The call for these recipients: the same bytes for the same input, however often it is built."""
        ...

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer: ...


Ask = Callable[[Request], HttpAnswer | NoAnswer]
"""One call to the provider with our credentials, within the deadline."""


@runtime_checkable
class Searching(Protocol):
    """A dialect whose provider keeps records that can be searched."""

    def find(self, sought: Sought, ask: Ask) -> Found: ...


class Credentials(Protocol):
    """Knows the secrets; tells them to nobody but the wire."""

    def headers(self, request: Request) -> Mapping[str, str]: ...

    def hide(self, text: str) -> str:
        """`text` without the secrets, should a provider repeat them."""
        ...


@dataclass(frozen=True, slots=True)
class Bearer:
    """`Authorization: Bearer …` (RFC 6750 2.1)."""

    secret: str = field(repr=False)

    def headers(self, request: Request) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.secret}"}

    def hide(self, text: str) -> str:
        return text.replace(self.secret, "<secret>") if self.secret else text


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """A secret in a header of the provider's own, as it is."""

    name: str
    secret: str = field(repr=False)

    def headers(self, request: Request) -> Mapping[str, str]:
        return {self.name: self.secret}

    def hide(self, text: str) -> str:
        return text.replace(self.secret, "<secret>") if self.secret else text


def post_json(
    url: str,
    body: Iterable[bytes],
    *,
    key: str,
    recipients: Sequence[Recipient],
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A call with a JSON body that was made in pieces; `headers` are those of this provider alone."""
    pieces = list(body)
    return Request(
        method="POST",
        url=url,
        headers={"content-type": "application/json", "accept": "application/json", **(headers or {})},
        body=b"".join(pieces),
        key=key,
        recipients=recipients,
        digest=digest(pieces),
    )


def written_address(address: str) -> str:
    """With the domain in ASCII. One that cannot be written so goes as it is: the provider refuses it then,
    and its neighbours are sent without it."""
    if address.isascii():
        return address
    try:
        return ascii_address(address)
    except HeaderError:
        return address


class HttpEsp:
    """A provider over HTTP: an `Esp` made of a dialect, credentials and a channel."""

    def __init__(self, dialect: Dialect, credentials: Credentials, *, channel: Channel | None = None) -> None:
        self._dialect = dialect
        self._credentials = credentials
        self._channel = channel or Channel()

    def __repr__(self) -> str:
        return f"HttpEsp({self.capabilities.name})"

    @property
    def capabilities(self) -> Capabilities:
        return self._dialect.capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        return self._dialect.build(mailing, recipients, key)

    def submit(self, request: Request, deadline: float) -> Answer:
        """One attempt. Never raises for what network or provider did."""
        outcome = self._exchange(request, deadline)
        answer = read_no_answer(outcome) if isinstance(outcome, NoAnswer) else self._read(outcome, request)
        return replace(answer, error=self._credentials.hide(answer.error)) if answer.error else answer

    def find(self, sought: Sought, deadline: float) -> Found:
        """Ask the provider's records. A dialect without a search, and one that stumbles, finds nothing."""
        if not isinstance(self._dialect, Searching):
            return Found(error=f"{self.capabilities.name} cannot be asked what became of a batch")
        try:
            found = self._dialect.find(sought, self.asking(deadline))
        except Exception as error:
            log.exception("the answer of %s to a search could not be read", self.capabilities.name)
            return Found(error=f"the answer to the search could not be read ({type(error).__name__})")
        return replace(found, error=self._credentials.hide(found.error)) if found.error else found

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    def asking(self, deadline: float) -> Ask:
        """Calls of the provider's API with our credentials; `deadline` is seconds for all of them."""
        ends = time.monotonic() + deadline
        return lambda request: self._exchange(request, max(0.0, ends - time.monotonic()))

    def hide(self, text: str) -> str:
        """`text` without our secrets."""
        return self._credentials.hide(text)

    def close(self) -> None:
        self._channel.close()

    def _exchange(self, request: Request, deadline: float) -> HttpAnswer | NoAnswer:
        return self._channel.exchange(
            request.method,
            request.url,
            headers={"user-agent": USER_AGENT, **request.headers, **self._credentials.headers(request)},
            body=request.body,
            deadline=deadline,
        )

    def _read(self, outcome: HttpAnswer, request: Request) -> Answer:
        """A fault of ours in reading must not undo a request that left: it makes the outcome uncertain."""
        try:
            return self._dialect.read_answer(outcome, request)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "reading an answer of %s failed: %s at %s:%s",
                self.capabilities.name,
                type(error).__name__,
                place.name,
                place.lineno,
            )
            return Answer(
                kind=AnswerClass.UNCERTAIN,
                http_status=outcome.status,
                error=f"HTTP {outcome.status}: reading the answer failed ({type(error).__name__})",
            )


def display(box: Mailbox) -> str:
    """`Name <address>` for a provider's JSON: quoted where RFC 5322 3.2.3 asks for it, never encoded."""
    name = " ".join(box.name.split())
    if not name:
        return box.address
    if any(character in '()<>[]:;@\\,."' for character in name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{box.address}>"


def room(capabilities: Capabilities, message_bytes: int) -> int:
    """How many messages of this size one call may hold, by the provider's bounds; at least 1."""
    return max(1, min(capabilities.max_batch, capabilities.max_bytes // max(message_bytes, 1)))
