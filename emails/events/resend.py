"""Resend: one event a call, signed by Svix's scheme (Standard Webhooks).

Facts: Resend's webhook pages and the Standard Webhooks specification, as of November 2026. A call is tried
again over 17.6 hours. The signature's time is that of the try or of the message, the documents differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from emails.events.event import Call, Event, EventKind, Forged
from emails.events.proof import check_hmac, check_time, from_base64
from emails.events.reading import document, key, mapping, one, ours, said, text, when

NEEDS = ("RESEND_WEBHOOK_SECRET",)
SIGNED = True
QUICK = True
KEEPS = ("svix-id",)
HOW = "signed (Svix)"
_KINDS = {
    "email.sent": EventKind.ACCEPTED,
    "email.delivered": EventKind.DELIVERED,
    "email.delivery_delayed": EventKind.DEFERRED,
    "email.complained": EventKind.COMPLAINT,
    "email.failed": EventKind.REJECTED,
    "email.suppressed": EventKind.REJECTED,
}


def verify(call: Call, secrets: Mapping[str, str], now: datetime) -> None:
    """`svix-signature` holds one or more `v1,BASE64` of the HMAC-SHA256 over `id.time.body`; the key is what
    follows `whsec_`, in base64. Raises `Forged`."""
    secret = from_base64(secrets[NEEDS[0]].removeprefix("whsec_"))
    name, seconds = call.headers.get("svix-id", ""), call.headers.get("svix-timestamp", "")
    given = [
        from_base64(signature)
        for version, _, signature in (
            each.partition(",") for each in call.headers.get("svix-signature", "").split()[:10]
        )
        if version == "v1"
    ]
    if not (secret and name):
        raise Forged("the call is not signed")
    check_hmac(secret, f"{name}.{seconds}.".encode() + call.body, given)
    check_time(seconds, now)


def read(call: Call) -> list[Event]:
    """`{"type", "created_at", "data": {"email_id", "tags", "bounce"}}`. Raises `Malformed`."""
    body = one(document(call))
    data = mapping(body.get("data"))
    tags = _tags(data.get("tags"))
    kind, because = _kind(body.get("type"), data)
    reason = mapping(data.get("bounce")) or mapping(data.get("failed")) or mapping(data.get("suppressed"))
    return [
        Event(
            provider="resend",
            key=key(
                call.headers.get("svix-id"), body.get("type"), data.get("email_id"), body.get("created_at")
            ),
            kind=kind,
            because=because,
            occurred_at=when(body.get("created_at")),
            installation=text(tags.get("installation")),
            edition=text(tags.get("edition")),
            delivery_id=ours(tags.get("delivery")),
            provider_id=text(data.get("email_id")),
            detail=said(
                reason.get("type"), reason.get("subType"), reason.get("reason"), reason.get("message")
            ),
        )
    ]


def _kind(name: Any, data: Mapping[str, Any]) -> tuple[EventKind, EventKind | None]:
    if name == "email.bounced":
        hard = mapping(data.get("bounce")).get("type") == "Permanent"
        return (EventKind.HARD_BOUNCE if hard else EventKind.SOFT_BOUNCE), None
    kind = _KINDS.get(str(name), EventKind.OTHER)
    return kind, _because(data) if name == "email.suppressed" else None


def _because(data: Mapping[str, Any]) -> EventKind | None:
    """Why it is on Resend's own list. Where the reason stands is not documented in full."""
    words = f"{mapping(data.get('suppressed'))} {data.get('reason')} {mapping(data.get('bounce'))}".lower()
    if "complain" in words:
        return EventKind.COMPLAINT
    return EventKind.HARD_BOUNCE if "bounce" in words else None


def _tags(value: Any) -> Mapping[str, Any]:
    """Tags come back as an object; as a list of names and values in some answers."""
    if isinstance(value, list):
        return {str(mapping(each).get("name")): mapping(each).get("value") for each in value}
    return mapping(value)
