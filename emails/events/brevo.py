"""Brevo: one event a call, or a list of up to 500; not signed: a secret in the address or a token proves it.

Facts: Brevo's webhook pages and help articles, as of November 2026. Its events have no id, and their order is
not kept. How long a call is tried again is not documented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast

from emails.esp.base import Ask, Dialect
from emails.esp.brevo import BrevoDialect
from emails.events.asking import counted_pages, get_page, items_or_none, listed
from emails.events.event import Call, Event, EventKind
from emails.events.proof import check_shared
from emails.events.reading import document, inner_json, key, mapping, objects, ours, said, text, when

NEEDS = ("BREVO_WEBHOOK_SECRET",)
SIGNED = False
QUICK = True
KEEPS = ()
HOW = "secret in the address"
_KINDS = {
    "request": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "soft_bounce": EventKind.SOFT_BOUNCE,
    "hard_bounce": EventKind.HARD_BOUNCE,
    "invalid_email": EventKind.HARD_BOUNCE,
    "spam": EventKind.COMPLAINT,
    "complaint": EventKind.COMPLAINT,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "unsubscribed": EventKind.UNSUBSCRIBED,
    "blocked": EventKind.REJECTED,
    "error": EventKind.REJECTED,
}


def verify(call: Call, secrets: Mapping[str, str], _now: datetime) -> None:
    """Brevo signs nothing. Raises `Forged`."""
    check_shared(call, secrets[NEEDS[0]])


def read(call: Call) -> list[Event]:
    """`{"event", "message-id", "X-Mailin-custom", "ts_event", …}`, or a list of them. Raises `Malformed`."""
    return [_event(each) for each in objects(document(call))]


def _event(body: Mapping[str, Any]) -> Event:
    about = inner_json(body.get("X-Mailin-custom"))
    at = body.get("ts_epoch") or body.get("ts_event") or body.get("ts")
    return Event(
        provider="brevo",
        key=key(None, body.get("event"), body.get("message-id"), body.get("email"), body.get("ts_event"), at),
        kind=_KINDS.get(str(body.get("event")), EventKind.OTHER),
        occurred_at=when(at),
        installation=text(about.get("installation")),
        edition=text(about.get("edition")),
        delivery_id=ours(about.get("delivery")),
        provider_id=text(body.get("message-id")),
        detail=said(body.get("reason")),
    )


# Asking

WHAT = "its list of bounces, complaints and unsubscribes"
_CODES = {
    "hardBounce": EventKind.HARD_BOUNCE,
    "contactFlaggedAsSpam": EventKind.COMPLAINT,
    "unsubscribedViaMA": EventKind.UNSUBSCRIBED,
    "unsubscribedViaEmail": EventKind.UNSUBSCRIBED,
}
_PAGE = 100


def pull(dialect: Dialect, since: datetime, now: datetime, ask: Ask) -> Iterator[Event]:
    """The contacts that it does not mail. Raises `emails.events.asking.Refusal`."""
    base = cast(BrevoDialect, dialect).base_url
    days = {"startDate": since.date().isoformat(), "endDate": now.date().isoformat()}
    for each in counted_pages(partial(_blocked, ask, base, days), _PAGE):
        reason = mapping(each.get("reason"))
        kind = _CODES.get(str(reason.get("code")))
        found = kind and listed(
            "brevo", kind, each.get("email"), each.get("blockedAt"), reason.get("message")
        )
        if found:
            yield found


def _blocked(ask: Ask, base: str, days: Mapping[str, str], offset: int) -> list[Mapping[str, Any]]:
    page = get_page(ask, f"{base}/smtp/blockedContacts", {**days, "limit": _PAGE, "offset": offset})
    return items_or_none(page, "contacts", "count")
