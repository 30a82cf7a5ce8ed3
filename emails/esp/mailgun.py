"""Mailgun: up to 1,000 recipients a call, merged by Mailgun, in the United States or in the European Union.

A domain lives in one region: `https://api.mailgun.net` (the default here) or `https://api.eu.mailgun.net`.
There is no idempotency key; the event log tells what became of a batch in doubt.

Facts: Mailgun's OpenAPI file (version 3.0.0) and user manual (batch sending, tracking, events), as of
November 2026. It documents no way to write its merge syntax literally: see `emails.esp.literal`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from emails.delivery import Answer, Capabilities, Found, Recipient, Request, Search, Sought
from emails.edition import Letter, Mailing, Newsletter
from emails.esp.base import Ask, HttpEsp, display
from emails.esp.basic import Basic
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.links import addresses, check_links, delivery_ids, plain, unsubscribe_urls
from emails.esp.literal import Syntax, literal, template
from emails.esp.one_id import one_id
from emails.esp.reading import MAX_RETRY_AFTER, Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings, EspSettingsError
from emails.esp.splice import inside
from emails.message import HeaderError, edition_headers

BASE_URL = "https://api.mailgun.net"
EU_URL = "https://api.eu.mailgun.net"
CAPABILITIES = Capabilities(
    name="mailgun",
    max_batch=1000,
    own_list_unsubscribe="account-setting",
    search=Search(settle=timedelta(minutes=30)),
    notes=(
        f"A domain lives in one region: for one in the European Union set provider.base_url to {EU_URL}.",
        "Switch unsubscribe tracking off for the domain, or Mailgun adds a List-Unsubscribe of its own.",
        "One id for all messages of a call; our delivery id is in each event as a user variable.",
        "Text that looks like %merge% syntax shows as it is; in plain text and subject it has an invisible "
        "word joiner in it.",
        "The event log is kept for 3 days at least, depending on the plan; what it does not hold proves "
        "nothing.",
        "Unverified: one report says that addresses with a + were not merged. Try one before the first "
        "edition.",
    ),
)
RULES = Rules(hold=frozenset({"not_found", "account", "sender"}))
SYNTAX = Syntax(
    # %recipient.name%, %unsubscribe_url%, %recipient_email%; not %C3%A9 as in web addresses
    opening=re.compile(r"%(?![0-9A-Fa-f]{2})(?=[A-Za-z_][A-Za-z0-9_.:-]*(?:%|\Z))|%\Z"),
    field="%recipient.{}%".format,
)
MAX_OPTIONS = 15 * 1024
"""Bytes of all `o:`, `h:` and `v:` values of an edition; a call may have 16 KB, with its batch's own."""

PAGE = 300
"""Events that one call of the search gives at most."""
MAX_PAGES = 40
ONE_BY_ONE = 20
"""Up to so many people are looked up each by their address."""
CLOCKS = timedelta(minutes=5)
"""How far our clock may be ahead of Mailgun's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunDialect:
    """Requests and answers of `POST /v3/{domain}/messages`, and the event log."""

    base_url: str
    domain: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`; each sees only themselves, as `recipient-variables` make Mailgun
        write one message a person.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold, and for tags beyond Mailgun's bound.
        """
        check_links(mailing, recipients)
        to = addresses(recipients)
        form = [
            *_shared(mailing.newsletter, mailing.letter, *_options(mailing)),
            ("v:batch", key.encode()),
            ("recipient-variables", _variables(mailing, recipients, to).encode()),
        ]
        boundary = f"weekbrief-{hashlib.sha256(key.encode()).hexdigest()[:40]}"
        return Request(
            method="POST",
            url=f"{self.base_url}/v3/{self.domain}/messages",
            headers={
                "content-type": f"multipart/form-data; boundary={boundary}",
                "accept": "application/json",
            },
            body=_multipart(boundary, form, to),
            key=key,
            recipients=recipients,
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"id", "message": "Queued. Thank you."}` on success, `{"message"}` or a bare string on failure."""
        body = json_of(answer)
        if is_success(answer) and isinstance(body, Mapping) and isinstance(body.get("message"), str):
            return _taken(answer, body.get("id"))
        read = read_failure(answer, _complaint(answer.status, body), RULES)
        if read.retry_after is None and answer.status == 429:
            read = replace(read, retry_after=_pause_in_words(body))
        return self._with_region(read)

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Look in the event log for the edition's tag since the hand-over: a few people each by address, more
        by paging through the edition's accepted messages."""
        wanted = _Wanted(sought)
        queries = _queries(sought)
        for query in queries:
            error = self._read_pages(query, wanted, ask)
            if error:
                return Found(taken=wanted.taken, error=error)
        return Found(taken=wanted.taken)

    def _read_pages(self, query: Mapping[str, str], wanted: _Wanted, ask: Ask) -> str | None:
        """Why the log could not be read to its end, or None."""
        events = f"{self.base_url}/v3/{self.domain}/events"
        url = f"{events}?{urlencode(query)}"
        for _ in range(MAX_PAGES):
            page = _page(ask(_get(url)))
            if isinstance(page, str):
                return page
            items, following = page
            wanted.look_at(items)
            if not items or not following or wanted.complete:
                return None
            # The rest of the log is at the address of our own choice: a page never sends the key elsewhere.
            url = f"{events}/{following}"
        return "the event log goes on for too long; look at it in Mailgun's control panel"

    def _with_region(self, read: Answer) -> Answer:
        if read.http_status not in (401, 404):
            return read
        other = EU_URL if self.base_url != EU_URL else BASE_URL
        hint = f"check MAILGUN_API_KEY, MAILGUN_DOMAIN and the region (provider.base_url, perhaps {other})"
        return replace(read, error=f"{read.error}; {hint}")


def make(settings: EspSettings) -> HttpEsp:
    """Mailgun with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    domain = settings.secret("MAILGUN_DOMAIN", CAPABILITIES.name)
    if not re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", domain):
        raise EspSettingsError(
            f"MAILGUN_DOMAIN: {domain!r} is no domain; write it alone, such as mg.example.org"
        )
    dialect = MailgunDialect(
        base_url=settings.url(BASE_URL), domain=domain, capabilities=settings.limited(CAPABILITIES)
    )
    return HttpEsp(dialect, Basic("api", settings.secret("MAILGUN_API_KEY", CAPABILITIES.name)))


# Building

Field = tuple[str, bytes]


@lru_cache(maxsize=16)
def _shared(newsletter: Newsletter, letter: Letter, *options: tuple[str, str]) -> tuple[Field, ...]:
    """What is the same in every call of an edition."""
    written = template(letter, SYNTAX)
    reply_to = newsletter.reply_to
    values = [
        ("from", literal(display(newsletter.sender), SYNTAX)),
        ("subject", written.subject),
        ("html", written.html),
        ("text", written.text),
        *([("h:Reply-To", literal(display(reply_to), SYNTAX))] if reply_to else []),
        *options,
    ]
    size = sum(len(value.encode()) for name, value in values if name[1] == ":")
    if size > MAX_OPTIONS:
        raise HeaderError(
            f"headers and tags hold {size} bytes; Mailgun takes {MAX_OPTIONS}: shorten the tags"
        )
    return tuple((name, value.encode()) for name, value in values)


def _options(mailing: Mailing) -> Iterator[tuple[str, str]]:
    yield from ((f"h:{name}", value) for name, value in edition_headers(mailing).items())
    if not mailing.notice:
        yield "h:List-Unsubscribe", f"<{SYNTAX.field('unsubscribe')}>"
        yield "h:List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    yield "o:tag", tag(mailing.installation, mailing.edition)
    yield from ((name, "no") for name in ("o:tracking", "o:tracking-clicks", "o:tracking-opens"))
    # X-Mailgun-Sid stays: Mailgun finds the message of a complaint by it.
    yield "o:suppress-headers", "X-Mailgun-Variables,X-Mailgun-Tag"
    ours = {"installation": mailing.installation, "edition": mailing.edition}
    for name, value in {**mailing.tags, **ours}.items():
        yield f"v:{re.sub(r'[^A-Za-z0-9_-]', '_', name)}", literal(value, SYNTAX)
    yield "v:delivery", SYNTAX.field("delivery")


def tag(installation: str, edition: str) -> str:
    """The tag of an edition: ASCII, at most 128 characters. One an edition, as a domain may have only so
    many tags."""
    return re.sub(r"[^a-z0-9._-]", "_", f"weekbrief-{installation}-{edition}".lower())[:128]


def _variables(mailing: Mailing, recipients: Sequence[Recipient], to: Sequence[str]) -> str:
    """`{"address": {"delivery": …, "unsubscribe": …}}`. Every recipient has every key: one left out would go
    out as `%recipient.key%`."""
    ids, links = delivery_ids(recipients), unsubscribe_urls(recipients)
    if not (plain(to) and plain(ids)):
        to, ids = list(map(inside, to)), list(map(inside, ids))
    if mailing.notice:
        each = [f'"{address}":{{"delivery":"{id_}"}}' for address, id_ in zip(to, ids, strict=True)]
    else:
        each = [
            f'"{address}":{{"delivery":"{id_}","unsubscribe":"{link}"}}'
            for address, id_, link in zip(to, ids, links, strict=True)
        ]
    return f"{{{','.join(each)}}}"


def _multipart(boundary: str, form: Iterable[Field], to: Sequence[str]) -> bytes:
    """multipart/form-data (RFC 7578), every recipient in a field of their own.

    Nobody can know a boundary made of a key, so no text can hold it.
    """
    pieces: list[bytes] = []
    for name, value in form:
        pieces += (_head(boundary, name), value, b"\r\n")
    if to:
        head = _head(boundary, "to").decode()
        pieces += (head.encode(), f"\r\n{head}".join(to).encode(), b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces)


def _head(boundary: str, name: str) -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()


# Reading


def _taken(answer: HttpAnswer, message_id: Any) -> Answer:
    if not (isinstance(message_id, str) and message_id):
        return accepted(answer, alarm="Mailgun took the batch and gave it no id")
    return one_id(answer, message_id)


def _complaint(status: int, body: Any) -> Complaint | None:
    """`{"message"}`, or a bare string such as "Forbidden"."""
    message = body.get("message") if isinstance(body, Mapping) else body
    if not isinstance(message, str) or not message:
        return None
    return Complaint(code=_code(status, message), message=message)


def _code(status: int, message: str) -> str:
    """Mailgun has no error codes: its words tell what concerns the account and not this batch."""
    words = message.lower()
    if status == 404:
        return "not_found"
    if "not allowed to send" in words and "try again" not in words:
        return "account"
    if re.search(r"\bdisabled\b|\bsandbox subdomain|\bfree accounts\b|\bunverified\b|not activated", words):
        return "account"
    if re.match(r"'?from'? parameter", words):
        return "sender"
    return "error"


def _pause_in_words(body: Any) -> float | None:
    """Seconds of "… limit exceeded, try again after 120 seconds"."""
    message = body.get("message") if isinstance(body, Mapping) else None
    found = re.search(r"after (\d{1,9}) second", message) if isinstance(message, str) else None
    return min(float(found[1]), MAX_RETRY_AFTER) if found else None


# Searching


@dataclass(slots=True)
class _Wanted:
    """Whom we look for, and who was found."""

    sought: Sought
    taken: dict[str, str | None] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.taken) == len(self.sought.recipients)

    def look_at(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Only an event with our own delivery id proves anything: an address may have had a test letter."""
        deliveries = {person.delivery_id for person in self.sought.recipients}
        for item in items:
            variables = item.get("user-variables")
            delivery = variables.get("delivery") if isinstance(variables, Mapping) else None
            if isinstance(delivery, str) and delivery in deliveries:
                self.taken[delivery] = _message_id(item)


def _queries(sought: Sought) -> Iterator[dict[str, str]]:
    common = {
        "tags": tag(sought.installation, sought.edition),
        "begin": f"{(sought.since - CLOCKS).timestamp():.0f}",
        "ascending": "yes",
        "limit": str(PAGE),
    }
    if len(sought.recipients) > ONE_BY_ONE:
        yield {**common, "event": "accepted"}
        return
    for address in addresses(sought.recipients):
        yield {**common, "recipient": address}


def _get(url: str) -> Request:
    return Request(method="GET", url=url, headers={"accept": "application/json"}, body=b"", key="")


def _page(answer: HttpAnswer | NoAnswer) -> tuple[list[Mapping[str, Any]], str | None] | str:
    """The events of a page and the token of the next, or why there are none."""
    if isinstance(answer, NoAnswer):
        return answer.error
    body = json_of(answer)
    items = body.get("items") if isinstance(body, Mapping) else None
    if not is_success(answer) or not isinstance(items, list):
        failure = read_failure(answer, _complaint(answer.status, body), RULES)
        return failure.error or f"HTTP {answer.status}"
    paging = body.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)], _token(following)


def _token(url: Any) -> str | None:
    last = urlsplit(url).path.rpartition("/")[2] if isinstance(url, str) else ""
    return last if re.fullmatch(r"[A-Za-z0-9_=%.~-]+", last) else None


def _message_id(item: Mapping[str, Any]) -> str | None:
    message = item.get("message")
    headers = message.get("headers") if isinstance(message, Mapping) else None
    found = headers.get("message-id") if isinstance(headers, Mapping) else None
    return found if isinstance(found, str) else None
