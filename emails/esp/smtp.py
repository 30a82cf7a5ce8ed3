"""SMTP: any mail server, as the escape hatch. No key, nothing to search, no later word but bounces by mail.

    smtps://mail.example.org:465            TLS from the first byte (RFC 8314)
    smtp+starttls://mail.example.org:587    TLS by STARTTLS, without which nothing is sent
    smtp://127.0.0.1:25                     in the open, on this machine only (the default)
    smtp+plain://relay.internal:25          in the open, as you say so by name

One message a batch: an answer then speaks of exactly one person, a refused or a lost one costs nobody else
anything, and at most one person is ever in doubt. With more, one lost answer would leave a whole batch in
doubt although all but one of its stories are known. The connection stays open from one message to the next.

What the server says (RFC 5321 4.2, RFC 3463):

    no connection, or it broke before the message's final dot left    not sent
    4xx to anything                                                   not sent (a mailbox: see `MAX_TRIES`)
    5xx to greeting, EHLO, STARTTLS, AUTH or MAIL                     hold: nobody's message will do better
    5xx to RCPT, DATA or the message                                  refused, this one person
    2xx to the message                                                accepted
    the connection broke after the final dot left                     uncertain
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from threading import Lock
from urllib.parse import SplitResult, urlsplit

from emails.delivery import (
    Answer,
    AnswerClass,
    Capabilities,
    DeliveryState,
    Found,
    Receipt,
    Recipient,
    Request,
    Sought,
)
from emails.edition import Mailing
from emails.esp.settings import EspSettings, EspSettingsError, MissingSecret
from emails.esp.smtp_line import Line, LineBroke, Reply, Untrusted, parameters, path, stuffed
from emails.message import ascii_address, build_message
from emails.plainly import plain

log = logging.getLogger(__name__)

BASE_URL = "smtp://127.0.0.1:25"
CAPABILITIES = Capabilities(
    name="smtp",
    max_batch=1,
    max_bytes=10_000_000,
    eight_bit_local_part=False,
    notes=(
        "SMTP has no idempotency key, and a mail server cannot be asked what it took: a lost answer leaves "
        "one person in doubt.",
        "Accepted means that the server took the message. What comes after it are bounces, by mail to the "
        "newsletter's sender address.",
        "One message a batch, 20 a connection.",
    ),
)
MESSAGES_PER_CONNECTION = 20
"""e-mail standards D-04."""
MAX_IDLE = timedelta(seconds=20)
"""Servers close a connection that says nothing; a new one costs less than finding that out."""
MAX_TRIES = 3
"""A mailbox that the server puts off so often is refused for this edition: it must not hold up the others."""


class Security(StrEnum):
    TLS = "smtps"
    STARTTLS = "smtp+starttls"
    LOCAL = "smtp"
    PLAIN = "smtp+plain"


PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.LOCAL: 25, Security.PLAIN: 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to send, and how safely."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class _Stage(StrEnum):
    GREETING = "the greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    MESSAGE = "the message"


class _Said(Exception):
    """The server said no."""

    def __init__(self, stage: _Stage, reply: Reply) -> None:
        super().__init__(stage)
        self.stage = stage
        self.reply = reply


class _Unfit(Exception):
    """The server lacks what we insist on. Holds words for the operator."""


class Smtp:
    """An `Esp` over SMTP. Safe to use from several threads, which wait for each other."""

    def __init__(
        self,
        server: Server,
        capabilities: Capabilities = CAPABILITIES,
        *,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = server
        self._capabilities = capabilities
        self._context = context
        self._clock = clock
        self._lock = Lock()
        self._line: Line | None = None
        self._idle_since = 0.0
        self._put_off: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Smtp({self._server.security}://{self._server.host}:{self._server.port})"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """The finished message of one recipient, still without a Date.

        Raises ValueError for more or fewer recipients than one, and `emails.message.HeaderError`.
        """
        (person,) = recipients
        return Request(
            method="SMTP",
            url=f"{self._server.security}://{self._server.host}:{self._server.port}",
            headers={
                "mail-from": ascii_address(mailing.newsletter.sender.address),
                "rcpt-to": ascii_address(person.address),
            },
            body=build_message(mailing, person, date=None),
            key=key,
            recipients=(person,),
        )

    def submit(self, request: Request, deadline: float) -> Answer:
        """One transaction (RFC 5321 3.3), over the connection of the one before where there is one. Never
        raises for what server or network did."""
        until = time.monotonic() + deadline
        if not self._lock.acquire(timeout=deadline):
            return Answer(kind=AnswerClass.NOT_SENT, error="another message took all the time")
        try:
            return self._attempt(request, until)
        finally:
            self._lock.release()

    def find(self, sought: Sought, deadline: float) -> Found:
        """Nobody can ask a mail server what it took."""
        return Found(error="a mail server cannot be asked what became of a message")

    def close(self) -> None:
        with self._lock:
            self._hang_up(politely=True)

    # one attempt

    def _attempt(self, request: Request, until: float) -> Answer:
        person = request.recipients[0]
        try:
            line = self._open_line(until)
            message = self._dated(request.body)
            self._announce(line, request, len(message))
            line.write(stuffed(message))
        except _Said as said:
            return self._read_no(said, person)
        except _Unfit as unfit:
            self._hang_up()
            return Answer(kind=AnswerClass.HOLD, error=str(unfit))
        except Untrusted as untrusted:
            self._hang_up()
            return Answer(kind=AnswerClass.HOLD, error=f"{untrusted}; nothing was sent")
        except LineBroke as broke:
            self._hang_up()
            return Answer(kind=AnswerClass.NOT_SENT, error=str(broke))
        return self._finish(line, person)

    def _finish(self, line: Line, person: Recipient) -> Answer:
        """So far the server has half a message and must drop it (RFC 5321 4.1.1.4); the dot changes that."""
        try:
            line.write(b".\r\n")
            reply = line.hear()
        except LineBroke as broke:
            self._hang_up()
            return Answer(kind=AnswerClass.UNCERTAIN, error=f"after the end of the message: {broke}")
        line.in_transaction = False
        if reply.passing or reply.refusing:
            return self._read_no(_Said(_Stage.MESSAGE, reply), person)
        if not reply.done:
            self._hang_up()
            return Answer(kind=AnswerClass.UNCERTAIN, error=self._words(_Said(_Stage.MESSAGE, reply)))
        line.handed_over += 1
        self._idle_since = time.monotonic()
        self._put_off.pop(person.delivery_id, None)
        receipt = Receipt(
            delivery_id=person.delivery_id,
            state=DeliveryState.ACCEPTED,
            provider_id=_queue_id(reply.text) or person.message_id,
        )
        return Answer(kind=AnswerClass.ACCEPTED, receipts=(receipt,))

    def _dated(self, message: bytes) -> bytes:
        """The Date is when the message is handed over (RFC 5322 3.6.1)."""
        return f"Date: {format_datetime(self._clock())}\r\n".encode() + message

    def _announce(self, line: Line, request: Request, bytes_in_all: int) -> None:
        line.in_transaction = True
        size = parameters(line.offers, bytes_in_all)
        _expect(_Stage.MAIL, line.command(f"MAIL FROM:{path(request.headers['mail-from'])}", *size))
        _expect(_Stage.RCPT, line.command(f"RCPT TO:{path(request.headers['rcpt-to'])}"))
        _expect(_Stage.DATA, line.command("DATA"), 354)

    # the connection

    def _open_line(self, until: float) -> Line:
        """The open connection if it is still good for another message, else a new one."""
        if self._line is not None:
            self._line.until = until
            if self._still_good(self._line):
                return self._line
            self._hang_up(politely=self._line.quiet)
        self._line = line = Line.open(self._server.host, self._server.port, until)
        self._idle_since = time.monotonic()
        self._introduce(line)
        return line

    def _still_good(self, line: Line) -> bool:
        idle = time.monotonic() - self._idle_since
        if line.handed_over >= MESSAGES_PER_CONNECTION or idle > MAX_IDLE.total_seconds() or not line.quiet:
            return False
        try:
            return not line.in_transaction or line.command("RSET").done
        except LineBroke:
            return False

    def _introduce(self, line: Line) -> None:
        server = self._server
        if server.security is Security.TLS:
            line.encrypt(self._tls(), server.host)
        _expect(_Stage.GREETING, line.hear(), 220)
        _expect(_Stage.EHLO, line.greet())
        if server.security is Security.STARTTLS:
            if "STARTTLS" not in line.offers:
                raise _Unfit(f"{server.host} offers no STARTTLS; nothing was sent")
            _expect(_Stage.STARTTLS, line.command("STARTTLS"), 220)
            line.encrypt(self._tls(), server.host)
            _expect(_Stage.EHLO, line.greet())
        if server.username is not None and server.password is not None:
            if "AUTH" not in line.offers:
                raise _Unfit(f"{server.host} offers no log-in (AUTH), and SMTP_USERNAME is set")
            _expect(_Stage.AUTH, line.log_in(server.username, server.password), 235)

    def _tls(self) -> ssl.SSLContext:
        """Reading the certificate bundle takes tens of milliseconds: once is enough."""
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    def _hang_up(self, *, politely: bool = False) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        try:
            if politely:
                line.until = time.monotonic() + 1.0
                line.command("QUIT")
        except LineBroke:
            log.debug("the mail server did not wait for a goodbye")
        finally:
            line.close()

    # reading

    def _read_no(self, said: _Said, person: Recipient) -> Answer:
        answer = Answer(kind=self._kind_of(said, person), error=self._words(said))
        if said.stage not in (_Stage.RCPT, _Stage.DATA, _Stage.MESSAGE) or said.reply.code == 421:
            self._hang_up()
        else:
            self._idle_since = time.monotonic()
        return answer

    def _kind_of(self, said: _Said, person: Recipient) -> AnswerClass:
        if said.reply.passing:
            if said.stage in (_Stage.RCPT, _Stage.MESSAGE) and _is_about_mailbox(said.reply):
                return self._after_putting_off(person)
            return AnswerClass.NOT_SENT
        about_them = said.stage in (_Stage.RCPT, _Stage.DATA, _Stage.MESSAGE) and not _is_about_us(said)
        return AnswerClass.REFUSED if said.reply.refusing and about_them else AnswerClass.HOLD

    def _after_putting_off(self, person: Recipient) -> AnswerClass:
        tries = self._put_off.pop(person.delivery_id, 0) + 1
        if tries >= MAX_TRIES:
            return AnswerClass.REFUSED
        self._put_off[person.delivery_id] = tries
        return AnswerClass.NOT_SENT

    def _words(self, said: _Said) -> str:
        text = plain(said.reply.text)
        for secret in (self._server.password, self._server.username):
            text = text.replace(secret, "<secret>") if secret else text
        return f"SMTP {said.reply.code} to {said.stage}: {text}"


def make(settings: EspSettings) -> Smtp:
    """The mail server of `provider.base_url`. Raises `emails.esp.settings.EspSettingsError`."""
    server = server_of(settings.base_url or BASE_URL)
    username, password = (_optional(settings, name) for name in ("SMTP_USERNAME", "SMTP_PASSWORD"))
    if (username is None) != (password is None):
        raise MissingSecret("SMTP_PASSWORD" if password is None else "SMTP_USERNAME", CAPABILITIES.name)
    return Smtp(replace(server, username=username, password=password), settings.limited(CAPABILITIES))


def server_of(url: str) -> Server:
    """The server that `provider.base_url` names. Raises `EspSettingsError`."""
    if "@" in url:
        raise EspSettingsError(
            "provider.base_url: leave name and password out; SMTP_USERNAME and SMTP_PASSWORD go in .env"
        )
    parts = _split(url)
    if parts is None or parts.scheme not in set(Security) or not parts.hostname:
        raise EspSettingsError(
            f"provider.base_url: {url!r} is no mail server; write it as smtps://mail.example.org:465 or "
            "smtp+starttls://mail.example.org:587"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise EspSettingsError(f"provider.base_url: {url!r}: nothing goes behind host and port")
    security = Security(parts.scheme)
    if security is Security.LOCAL and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise EspSettingsError(
            f"provider.base_url: {url!r} would send in the open; write smtps:// or smtp+starttls://, or "
            "smtp+plain:// if that is what you want"
        )
    return Server(host=parts.hostname, port=parts.port or PORTS[security], security=security)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _optional(settings: EspSettings, name: str) -> str | None:
    return settings.secret(name, CAPABILITIES.name) if settings.env.get(name, "").strip() else None


def _expect(stage: _Stage, reply: Reply, code: int | None = None) -> None:
    """Raises `_Said` unless the server said `code`, or without one, any 2xx."""
    if not (reply.code == code if code else reply.done):
        raise _Said(stage, reply)


_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")


def _enhanced(reply: Reply) -> str:
    """The status after the code, such as 5.1.1 (RFC 2034), or nothing."""
    found = _ENHANCED.match(reply.text.lstrip())
    return found[0] if found else ""


def _is_about_mailbox(reply: Reply) -> bool:
    """A passing trouble of this address or mailbox (RFC 3463 3.2, 3.3), and not of the server."""
    status = _enhanced(reply)
    return status.startswith(("4.1.", "4.2.")) if status else reply.code == 450


def _is_about_us(said: _Said) -> bool:
    """A refusal that everyone's message would meet: not logged in, the day's messages used up, no relaying,
    our domain not authenticated."""
    if said.reply.code in (530, 534, 535, 538):
        return True
    if _enhanced(said.reply) in ("5.4.5", "5.7.8", "5.7.9", "5.7.515"):
        return True
    return said.stage is _Stage.RCPT and bool(re.search(r"\brelay", said.reply.text, re.IGNORECASE))


def _queue_id(text: str) -> str | None:
    """The server's own name for the message, where it tells: Postfix `queued as X`, Exim `id=X`."""
    found = re.search(r"(?:queued as|\bid=)\s*([A-Za-z0-9._-]{4,64})", text, re.IGNORECASE)
    return found[1] if found else None
