"""Mailjet: one event a call, or a list where events are grouped; not signed: a secret in the address proves
it.

Facts: Mailjet's Event API guide, as of November 2026. A call is tried again every 30 seconds for 24 hours;
then Mailjet stops the webhook until a person starts it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast

from emails.esp.base import Ask, Dialect
from emails.esp.mailjet import MailjetDialect
from emails.events.asking import counted_pages, get_page, items
from emails.events.event import Call, Event, EventKind
from emails.events.proof import check_shared
from emails.events.reading import document, inner_json, key, objects, ours, said, text, when

NEEDS = ("MAILJET_WEBHOOK_SECRET",)
SIGNED = False
QUICK = True
KEEPS = ()
HOW = "secret in the address"
_KINDS = {
    "sent": EventKind.DELIVERED,
    "spam": EventKind.COMPLAINT,
    "unsub": EventKind.UNSUBSCRIBED,
    "blocked": EventKind.REJECTED,
}
"""`sent` is Mailjet's word for what the receiving server took."""


def verify(call: Call, secrets: Mapping[str, str], _now: datetime) -> None:
    """Mailjet signs nothing. Raises `Forged`."""
    check_shared(call, secrets[NEEDS[0]])


def read(call: Call) -> list[Event]:
    """`{"event", "MessageID", "CustomID", "Payload", "time"}`, or a list of them. Raises `Malformed`."""
    return [_event(each) for each in objects(document(call))]


def _event(body: Mapping[str, Any]) -> Event:
    about = inner_json(body.get("Payload"))
    edition, delivery = of_custom_id(body.get("CustomID"))
    return Event(
        provider="mailjet",
        key=key(None, body.get("event"), body.get("MessageID"), body.get("CustomID"), body.get("time")),
        kind=_kind(body),
        occurred_at=when(body.get("time")),
        installation=text(about.get("installation")),
        edition=text(about.get("edition")) or edition,
        delivery_id=ours(delivery),
        provider_id=text(body.get("MessageID")),
        detail=said(body.get("error_related_to"), body.get("error"), body.get("comment")),
    )


def of_custom_id(value: Any) -> tuple[str | None, str | None]:
    """Edition and delivery in a `CustomID` of ours (`emails.esp.mailjet.custom_id`)."""
    edition, dot, delivery = (text(value) or "").partition(".")
    return (edition, delivery) if dot else (None, None)


def _kind(body: Mapping[str, Any]) -> EventKind:
    if body.get("event") == "bounce":
        return EventKind.HARD_BOUNCE if body.get("hard_bounce") is True else EventKind.SOFT_BOUNCE
    return _KINDS.get(str(body.get("event")), EventKind.OTHER)


# Asking

WHAT = "what became of each message"
_PAGE = 1_000
_STATES = {
    "sent": EventKind.DELIVERED,
    "opened": EventKind.DELIVERED,
    "clicked": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "softbounced": EventKind.SOFT_BOUNCE,
    "bounce": EventKind.SOFT_BOUNCE,
    "hardbounced": EventKind.HARD_BOUNCE,
    "spam": EventKind.COMPLAINT,
    "unsub": EventKind.UNSUBSCRIBED,
    "blocked": EventKind.REJECTED,
}


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """Messages with our own ids. Raises `emails.events.asking.Refusal`."""
    url = f"{cast(MailjetDialect, dialect).base_url}/v3/REST/message"
    for each in counted_pages(partial(_messages, ask, url, since), _PAGE):
        edition, delivery = of_custom_id(each.get("CustomID"))
        kind = _STATES.get(str(each.get("Status")).lower())
        if kind is None or delivery is None:
            continue
        yield Event(
            provider="mailjet",
            key=key(None, "message", each.get("ID"), each.get("Status")),
            kind=kind,
            occurred_at=when(each.get("ArrivedAt")),
            edition=edition,
            delivery_id=ours(delivery),
            provider_id=text(each.get("ID")),
        )


def _messages(ask: Ask, url: str, since: datetime, offset: int) -> list[Mapping[str, Any]]:
    query = {
        "FromTS": f"{since.timestamp():.0f}",
        "ShowCustomID": "true",
        "Limit": _PAGE,
        "Offset": offset,
        "Sort": "ID",
    }
    return items(get_page(ask, url, query).get("Data"))
