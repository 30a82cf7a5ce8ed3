"""Mailgun: one event a call. Its signature covers a time and a token but not the body, so the address holds a
secret as well, and each token counts once.

Facts: Mailgun's webhook and event pages, as of November 2026. A call is tried again for 8 hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from emails.esp.base import Ask, Dialect
from emails.esp.mailgun import MailgunDialect
from emails.events.asking import EVER, MAX_PAGES, TOO_LONG, Refusal, get_page, items, listed
from emails.events.event import Call, Event, EventKind, Forged
from emails.events.proof import check_hmac, check_path, check_time, from_hex
from emails.events.reading import document, key, mapping, one, ours, said, text, when

NEEDS = ("MAILGUN_WEBHOOK_KEY", "MAILGUN_WEBHOOK_SECRET")
"""Mailgun's "HTTP webhook signing key", and a secret of ours for the address."""
SIGNED = False
QUICK = True
KEEPS = ()
HOW = "signature of a token, and secret in the address"
_KINDS = {
    "accepted": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "complained": EventKind.COMPLAINT,
    "unsubscribed": EventKind.UNSUBSCRIBED,
    "rejected": EventKind.REJECTED,
}
_LISTED = {
    "suppress-bounce": EventKind.HARD_BOUNCE,
    "suppress-complaint": EventKind.COMPLAINT,
    "suppress-unsubscribe": EventKind.UNSUBSCRIBED,
}
"""Reasons of a failure that was not even tried."""


def verify(call: Call, secrets: Mapping[str, str], now: datetime) -> None:
    """`signature.signature` is the HMAC-SHA256 over time and token, in hexadecimal. Raises `Forged`, and
    `Malformed` for a body that is not JSON."""
    signing_key, secret = (secrets[name] for name in NEEDS)
    check_path(call, secret)
    proof = mapping(mapping(document(call)).get("signature"))
    seconds, token, given = (str(proof.get(name, "")) for name in ("timestamp", "token", "signature"))
    if not token:
        raise Forged("the call is not signed")
    check_hmac(signing_key.encode(), f"{seconds}{token}".encode(), [from_hex(given)])
    check_time(seconds, now)


def read(call: Call) -> list[Event]:
    """`{"signature": {"token"}, "event-data": {…}}`. Raises `Malformed`."""
    body = one(document(call))
    token = text(mapping(body.get("signature")).get("token"))
    return [event(mapping(body.get("event-data")), own_key=key(f"token-{token}") if token else None)]


def event(data: Mapping[str, Any], *, own_key: str | None = None) -> Event:
    """One event as the webhook and the event log both write it. Its id is unique for a day only, so the time
    is part of the key; a webhook's key is its token, which then counts once."""
    about = mapping(data.get("user-variables"))
    status = mapping(data.get("delivery-status"))
    kind, because = _kind(data)
    return Event(
        provider="mailgun",
        key=own_key or key(None, data.get("id"), str(data.get("timestamp"))),
        kind=kind,
        because=because,
        occurred_at=when(data.get("timestamp")),
        installation=text(about.get("installation")),
        edition=text(about.get("edition")),
        delivery_id=ours(about.get("delivery")),
        provider_id=text(mapping(mapping(data.get("message")).get("headers")).get("message-id")),
        detail=said(data.get("reason"), status.get("code"), status.get("description"), status.get("message")),
    )


def _kind(data: Mapping[str, Any]) -> tuple[EventKind, EventKind | None]:
    if data.get("event") != "failed":
        return _KINDS.get(str(data.get("event")), EventKind.OTHER), None
    reason = str(data.get("reason"))
    if reason.startswith("suppress-"):
        return EventKind.REJECTED, _LISTED.get(reason)
    if data.get("severity") != "permanent":
        return EventKind.DEFERRED, None
    # "old": put off until Mailgun gave up. That is no word of the mailbox's own.
    return (EventKind.SOFT_BOUNCE if reason == "old" else EventKind.HARD_BOUNCE), None


# Asking

WHAT = "all reports, of 3 days or more"
_LISTS = {
    "bounces": EventKind.HARD_BOUNCE,
    "complaints": EventKind.COMPLAINT,
    "unsubscribes": EventKind.UNSUBSCRIBED,
}
_PAGE = 300


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """The event log, oldest first; before it, when asked for all there ever was, the lists of who is not
    mailed. Raises `emails.events.asking.Refusal`."""
    mailgun = cast(MailgunDialect, dialect)
    domain = f"{mailgun.base_url}/v3/{mailgun.domain}"
    if since <= EVER:
        for name, kind in _LISTS.items():
            yield from _list(ask, f"{domain}/{name}", kind)
    log = f"{domain}/events"
    query = {
        "begin": f"{since.timestamp():.0f}",
        "ascending": "yes",
        "limit": _PAGE,
        "event": "delivered OR failed OR complained OR unsubscribed OR rejected",
    }
    page = get_page(ask, log, query)
    for _ in range(MAX_PAGES):
        found = items(page.get("items"))
        yield from (event(each) for each in found)
        following = _token(mapping(page.get("paging")).get("next"))
        if not found or following is None:
            return
        # Always at the address of our own choice: a page never sends the key elsewhere.
        page = get_page(ask, f"{log}/{following}")
    raise Refusal(TOO_LONG)


def _list(ask: Ask, url: str, kind: EventKind) -> Iterator[Event]:
    query: dict[str, object] = {"limit": 1_000}
    for _ in range(MAX_PAGES):
        page = get_page(ask, url, query)
        found = items(page.get("items"))
        for each in found:
            entry = listed("mailgun", kind, each.get("address"), each.get("created_at"), each.get("error"))
            if entry:
                yield entry
        following = mapping(page.get("paging")).get("next")
        if not found or not isinstance(following, str):
            return
        query = dict(parse_qsl(urlsplit(following).query))
    raise Refusal(TOO_LONG)


def _token(url: Any) -> str | None:
    last = urlsplit(url).path.rpartition("/")[2] if isinstance(url, str) else ""
    return last if re.fullmatch(r"[A-Za-z0-9_=%.~-]+", last) else None
