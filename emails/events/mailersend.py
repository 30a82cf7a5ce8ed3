"""MailerSend: one event a call, signed over the body.

Facts: MailerSend's webhook pages and what `django-anymail` found, as of November 2026. No time is signed. How
often a call is tried again is not clear: sources disagree. It waits 3 seconds for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast

from emails.esp.base import Ask, Dialect
from emails.esp.mailersend import MailerSendDialect
from emails.events.asking import counted_pages, get_page, items, listed
from emails.events.event import Call, Event, EventKind
from emails.events.proof import check_hmac, from_hex
from emails.events.reading import document, is_delivery, key, mapping, one, said, text, when

NEEDS = ("MAILERSEND_WEBHOOK_SECRET",)
SIGNED = True
QUICK = True
KEEPS = ()
HOW = "signed"
_KINDS = {
    "activity.sent": EventKind.ACCEPTED,
    "activity.delivered": EventKind.DELIVERED,
    "activity.deferred": EventKind.DEFERRED,
    "activity.soft_bounced": EventKind.SOFT_BOUNCE,
    "activity.hard_bounced": EventKind.HARD_BOUNCE,
    "activity.spam_complaint": EventKind.COMPLAINT,
    "activity.unsubscribed": EventKind.UNSUBSCRIBED,
}
_TAG = re.compile(r"weekbrief-([A-Za-z0-9]+)-(\d{4}-\d{2}-\d{2}|notice)")
"""What `emails.esp.mailersend` makes of installation and edition."""


def verify(call: Call, secrets: Mapping[str, str], _now: datetime) -> None:
    """`Signature` is the HMAC-SHA256 of the body in hexadecimal. Raises `Forged`."""
    check_hmac(secrets[NEEDS[0]].encode(), call.body, [from_hex(call.headers.get("signature", ""))])


def read(call: Call) -> list[Event]:
    """`{"type", "created_at", "data": {"id", "email": {"message", "tags"}}}`. Raises `Malformed`."""
    body = one(document(call))
    data = mapping(body.get("data"))
    email = mapping(data.get("email"))
    tags = [found for found in map(text, _listed(email.get("tags") or data.get("tags"))) if found]
    installation, edition = next(
        (found.groups() for found in map(_TAG.fullmatch, tags) if found), (None, None)
    )
    return [
        Event(
            provider="mailersend",
            key=key(data.get("id"), body.get("type"), body.get("created_at"), email.get("id")),
            kind=_KINDS.get(str(body.get("type")), EventKind.OTHER),
            occurred_at=when(body.get("created_at") or data.get("created_at")),
            installation=installation,
            edition=edition,
            delivery_id=next(filter(is_delivery, tags), None),
            provider_id=text(mapping(email.get("message")).get("id")),
            detail=said(*_reasons(data)),
        )
    ]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _reasons(data: Mapping[str, Any]) -> list[Any]:
    morph = mapping(data.get("morph"))
    return [morph.get("reason"), morph.get("readable_reason")]


# Asking

WHAT = "its lists of bounces, complaints and unsubscribes"
_LISTS = {
    "hard-bounces": EventKind.HARD_BOUNCE,
    "spam-complaints": EventKind.COMPLAINT,
    "unsubscribes": EventKind.UNSUBSCRIBED,
}
_PAGE = 100


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """Its suppression lists; they cannot be asked for from a day on. Raises
    `emails.events.asking.Refusal`."""
    base = f"{cast(MailerSendDialect, dialect).base_url}/suppressions"
    for name, kind in _LISTS.items():
        for each in counted_pages(partial(_entries, ask, f"{base}/{name}"), _PAGE):
            address = mapping(each.get("recipient")).get("email") or each.get("email")
            found = listed("mailersend", kind, address, each.get("created_at"), each.get("reason"))
            if found and (found.occurred_at is None or found.occurred_at >= since):
                yield found


def _entries(ask: Ask, url: str, offset: int) -> list[Mapping[str, Any]]:
    page = get_page(ask, url, {"limit": _PAGE, "page": offset // _PAGE + 1})
    return items(page.get("data"))
