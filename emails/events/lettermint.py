"""Lettermint: one event a call, signed with its time.

Facts: Lettermint's API reference and its own libraries, as of November 2026. How long a call is tried again
is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from emails.events.event import Call, Event, EventKind, Forged
from emails.events.proof import check_hmac, check_time, from_hex
from emails.events.reading import document, key, mapping, one, ours, said, text, when

NEEDS = ("LETTERMINT_WEBHOOK_SECRET",)
SIGNED = True
QUICK = True
KEEPS = ()
HOW = "signed"
_KINDS = {
    "message.created": EventKind.ACCEPTED,
    "message.sent": EventKind.ACCEPTED,
    "message.delivered": EventKind.DELIVERED,
    "message.soft_bounced": EventKind.SOFT_BOUNCE,
    "message.hard_bounced": EventKind.HARD_BOUNCE,
    "message.spam_complaint": EventKind.COMPLAINT,
    "message.unsubscribed": EventKind.UNSUBSCRIBED,
    "message.failed": EventKind.REJECTED,
    "message.suppressed": EventKind.REJECTED,
    "message.policy_rejected": EventKind.REJECTED,
}


def verify(call: Call, secrets: Mapping[str, str], now: datetime) -> None:
    """`X-Lettermint-Signature: t=TIME,v1=HEX`, the HMAC-SHA256 over `TIME.body`, and the same time in
    `X-Lettermint-Delivery`. Raises `Forged`."""
    header = call.headers.get("x-lettermint-signature", "")
    pairs = [each.strip().partition("=") for each in header.split(",")[:10]]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or call.headers.get("x-lettermint-delivery") != times[0]:
        raise Forged("the time of the call is missing")
    given = [from_hex(value) for name, _, value in pairs if name == "v1"]
    check_hmac(secrets[NEEDS[0]].encode(), f"{times[0]}.".encode() + call.body, given)
    check_time(times[0], now)


def read(call: Call) -> list[Event]:
    """`{"id", "event", "timestamp", "data": {"message_id", "metadata", "response"}}`. Raises `Malformed`."""
    body = one(document(call))
    data = mapping(body.get("data"))
    about, response = mapping(data.get("metadata")), mapping(data.get("response"))
    at = body.get("timestamp") or body.get("created_at")
    return [
        Event(
            provider="lettermint",
            key=key(body.get("id"), body.get("event"), data.get("message_id"), at),
            kind=_KINDS.get(str(body.get("event")), EventKind.OTHER),
            occurred_at=when(at),
            installation=text(about.get("installation")),
            edition=text(about.get("edition")),
            delivery_id=ours(about.get("delivery")),
            provider_id=text(data.get("message_id")),
            detail=said(
                response.get("status_code"), response.get("enhanced_status_code"), response.get("content")
            ),
        )
    ]
