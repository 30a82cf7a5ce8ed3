"""SparkPost: a list of events a call, not signed: a secret in the address or a token proves it.

Facts: SparkPost's API documents on webhooks, event types and bounce classes, as of November 2026. A call is
tried again for 8 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from emails.esp.base import Ask, Dialect
from emails.esp.sparkpost import SparkPostDialect
from emails.events.asking import MAX_PAGES, TOO_LONG, Refusal, get_page, items
from emails.events.event import Call, Event, EventKind
from emails.events.proof import check_shared
from emails.events.reading import document, key, mapping, objects, ours, said, text, when

NEEDS = ("SPARKPOST_WEBHOOK_SECRET",)
SIGNED = False
QUICK = True
KEEPS = ()
HOW = "secret in the address"
_KINDS = {
    "injection": EventKind.ACCEPTED,
    "delivery": EventKind.DELIVERED,
    "delay": EventKind.DEFERRED,
    "list_unsubscribe": EventKind.UNSUBSCRIBED,
    "link_unsubscribe": EventKind.UNSUBSCRIBED,
    "policy_rejection": EventKind.REJECTED,
    "generation_failure": EventKind.REJECTED,
    "generation_rejection": EventKind.REJECTED,
}
_CLASSES = {
    "10": EventKind.HARD_BOUNCE,  # invalid recipient
    "30": EventKind.HARD_BOUNCE,  # no such recipient
    "90": EventKind.UNSUBSCRIBED,  # the answer was a wish to leave
    "25": EventKind.REJECTED,  # SparkPost's own rules
    "26": EventKind.REJECTED,
    "60": EventKind.OTHER,  # an automatic answer
    "80": EventKind.OTHER,
    "100": EventKind.OTHER,
}
"""Bounce classes; all others are soft: a full mailbox, time-outs, blocks."""


def verify(call: Call, secrets: Mapping[str, str], _now: datetime) -> None:
    """SparkPost signs nothing. Raises `Forged`."""
    check_shared(call, secrets[NEEDS[0]])


def read(call: Call) -> list[Event]:
    """`[{"msys": {"message_event": {…}}}]`; a ping has nothing in it. Raises `Malformed`."""
    batches = [mapping(each.get("msys")) for each in objects(document(call))]
    return [event(mapping(each)) for batch in batches for each in batch.values() if mapping(each)]


def event(body: Mapping[str, Any]) -> Event:
    """One event as the webhook and the event log both write it."""
    about = mapping(body.get("rcpt_meta"))
    return Event(
        provider="sparkpost",
        key=key(body.get("event_id"), body.get("type"), body.get("message_id"), body.get("timestamp")),
        kind=_kind(body),
        occurred_at=when(body.get("timestamp")),
        installation=text(about.get("installation")),
        edition=text(about.get("edition")),
        delivery_id=ours(about.get("delivery")),
        provider_id=text(body.get("transmission_id")),
        detail=said(body.get("error_code"), body.get("bounce_class"), body.get("reason")),
    )


def _kind(body: Mapping[str, Any]) -> EventKind:
    name = str(body.get("type"))
    if name in ("bounce", "out_of_band"):
        return _CLASSES.get(str(body.get("bounce_class")), EventKind.SOFT_BOUNCE)
    if name == "spam_complaint":
        # RFC 6650 3.3: a report may also say that a message is no spam.
        return EventKind.OTHER if body.get("fbtype") == "not-spam" else EventKind.COMPLAINT
    return _KINDS.get(name, EventKind.OTHER)


# Asking

WHAT = "all reports, of 10 days"
_KEPT = timedelta(days=10)
_PAGE = 250
"""They fit in the answer we read at most."""
_EVENTS = ",".join((*_KINDS, "bounce", "out_of_band", "spam_complaint"))


def pull(dialect: Dialect, since: datetime, now: datetime, ask: Ask) -> Iterator[Event]:
    """The message events. Raises `emails.events.asking.Refusal`."""
    url = f"{cast(SparkPostDialect, dialect).base_url}/events/message"
    query: dict[str, object] = {
        "events": _EVENTS,
        "from": max(since, now - _KEPT).strftime("%Y-%m-%dT%H:%M"),
        "timezone": "UTC",
        "per_page": _PAGE,
    }
    cursor: str | None = "initial"
    for _ in range(MAX_PAGES):
        page = get_page(ask, url, {**query, "cursor": cursor})
        found = items(page.get("results"))
        yield from (event(each) for each in found)
        cursor = _next(page.get("links"))
        if not found or cursor is None:
            return
    raise Refusal(TOO_LONG)


def _next(links: Any) -> str | None:
    """The cursor alone: the page is asked for at the address of our own choice."""
    for link in links if isinstance(links, list) else [links]:
        href = mapping(link).get("href") if mapping(link).get("rel") == "next" else mapping(link).get("next")
        if isinstance(href, str):
            return parse_qs(urlsplit(href).query).get("cursor", [None])[0]
    return None
