"""SendGrid: a list of events a call, signed with ECDSA over the time and the body.

Facts: SendGrid's Event Webhook pages and the tests of its own Python library, as of November 2026. A call is
tried again for 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, cast

from emails.esp.base import Ask, Dialect
from emails.esp.sendgrid import ARGS, SendGridDialect
from emails.events.asking import counted_pages, get, items, listed
from emails.events.event import Call, Event, EventKind, Forged
from emails.events.proof import check_time, from_base64
from emails.events.public_keys import BadKey, EcKey, ec_key_of
from emails.events.reading import document, key, objects, ours, said, text, when

NEEDS = ("SENDGRID_WEBHOOK_KEY",)
"""The verification key that SendGrid shows when the signed event webhook is switched on: a public key."""
SIGNED = True
QUICK = False
KEEPS = ()
HOW = "signed (ECDSA)"
_HEADER = "x-twilio-email-event-webhook-"
_KINDS = {
    "processed": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "spamreport": EventKind.COMPLAINT,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
    "dropped": EventKind.REJECTED,
}
_LISTED = {
    "bounced address": EventKind.HARD_BOUNCE,
    "spam reporting address": EventKind.COMPLAINT,
    "unsubscribed address": EventKind.UNSUBSCRIBED,
}


def verify(call: Call, secrets: Mapping[str, str], now: datetime) -> None:
    """The signature covers the time's text and the body to the byte, with the line end after it. Raises
    `Forged`."""
    seconds = call.headers.get(f"{_HEADER}timestamp", "")
    signature = from_base64(call.headers.get(f"{_HEADER}signature", ""))
    try:
        public = _key(secrets[NEEDS[0]])
    except BadKey as error:
        raise Forged(f"{NEEDS[0]} is no public key ({error}); copy it again") from None
    if not public.signed(seconds.encode("utf-8", "replace") + call.body, signature):
        raise Forged("the signature is not right")
    check_time(seconds, now)


def read(call: Call) -> list[Event]:
    """`[{"event", "sg_event_id", "weekbrief_delivery", …}]`. Raises `Malformed`."""
    return [_event(each) for each in objects(document(call))]


@lru_cache(maxsize=4)
def _key(written: str) -> EcKey:
    return ec_key_of(from_base64(written))


def _event(body: Mapping[str, Any]) -> Event:
    kind, because = _kind(body)
    about = {name: body.get(f"{ARGS}{name}") for name in ("installation", "edition", "delivery")}
    message = text(body.get("sg_message_id"))
    return Event(
        provider="sendgrid",
        key=key(
            body.get("sg_event_id"), body.get("event"), message, body.get("email"), body.get("timestamp")
        ),
        kind=kind,
        because=because,
        occurred_at=when(body.get("timestamp")),
        installation=text(about["installation"]),
        edition=text(about["edition"]),
        delivery_id=ours(about["delivery"]),
        provider_id=message.partition(".")[0] if message else None,
        detail=said(body.get("status"), body.get("reason"), body.get("response")),
    )


def _kind(body: Mapping[str, Any]) -> tuple[EventKind, EventKind | None]:
    name = str(body.get("event"))
    if name == "bounce":
        return _bounce(body), None
    kind = _KINDS.get(name, EventKind.OTHER)
    return kind, _LISTED.get(str(body.get("reason")).strip().lower()) if name == "dropped" else None


def _bounce(body: Mapping[str, Any]) -> EventKind:
    """`bounce`: the mailbox said no for good; `blocked`: the message was turned away this once."""
    told = body.get("type")
    hard = told == "bounce" if told else str(body.get("status", "")).startswith("5")
    return EventKind.HARD_BOUNCE if hard else EventKind.SOFT_BOUNCE


# Asking

WHAT = "its lists of bounces, invalid addresses, complaints and unsubscribes"
_LISTS = {
    "bounces": EventKind.HARD_BOUNCE,
    "invalid_emails": EventKind.HARD_BOUNCE,
    "spam_reports": EventKind.COMPLAINT,
    "unsubscribes": EventKind.UNSUBSCRIBED,
}
_PAGE = 500


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """Its suppression lists. Raises `emails.events.asking.Refusal`."""
    base = f"{cast(SendGridDialect, dialect).base_url}/v3/suppression"
    for name, kind in _LISTS.items():
        for each in counted_pages(partial(_entries, ask, f"{base}/{name}", since), _PAGE):
            found = listed("sendgrid", kind, each.get("email"), each.get("created"), each.get("reason"))
            if found:
                yield found


def _entries(ask: Ask, url: str, since: datetime, offset: int) -> list[Mapping[str, Any]]:
    query = {"start_time": f"{since.timestamp():.0f}", "limit": _PAGE, "offset": offset}
    return items(get(ask, url, query))
