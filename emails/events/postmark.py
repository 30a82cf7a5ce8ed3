"""Postmark: one event a call, not signed: a secret in the address proves it.

Facts: Postmark's developer pages on webhooks, bounce types and suppressions, as of November 2026. Bounces are
tried again over 10.8 hours, other kinds perhaps only over 20 minutes: run `weekbrief sync` after an outage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from emails.esp.base import Ask, Dialect
from emails.esp.postmark import LETTERS, PostmarkDialect
from emails.events.asking import get_page, items, listed
from emails.events.event import Call, Event, EventKind
from emails.events.proof import check_shared
from emails.events.reading import document, key, mapping, one, ours, said, text, when

NEEDS = ("POSTMARK_WEBHOOK_SECRET",)
SIGNED = False
QUICK = True
KEEPS = ()
HOW = "secret in the address"
_HARD = frozenset({"HardBounce", "BadEmailAddress"})
_NO_BOUNCE = frozenset(
    {"AutoResponder", "AddressChange", "ChallengeVerification", "Subscribe", "OpenRelayTest", "TestPing"}
)
"""What comes back by mail and says nothing against the mailbox."""
_LISTED = {
    "HardBounce": EventKind.HARD_BOUNCE,
    "SpamComplaint": EventKind.COMPLAINT,
    "ManualSuppression": EventKind.UNSUBSCRIBED,
}


def verify(call: Call, secrets: Mapping[str, str], _now: datetime) -> None:
    """Postmark signs nothing. Raises `Forged`."""
    check_shared(call, secrets[NEEDS[0]])


def read(call: Call) -> list[Event]:
    """`{"RecordType", "MessageID", "Metadata", …}`. Raises `Malformed`."""
    body = one(document(call))
    about = mapping(body.get("Metadata"))
    kind, because = _kind(body)
    at = next((body[name] for name in ("DeliveredAt", "BouncedAt", "ChangedAt") if body.get(name)), None)
    who = body.get("Recipient") or body.get("Email")
    return [
        Event(
            provider="postmark",
            key=key(
                None,
                body.get("RecordType"),
                body.get("MessageID"),
                who,
                body.get("ID"),
                body.get("ChangedAt"),
            ),
            kind=kind,
            because=because,
            occurred_at=when(at),
            installation=text(about.get("installation")),
            edition=text(about.get("edition")),
            delivery_id=ours(about.get("delivery")),
            provider_id=text(body.get("MessageID")),
            detail=said(
                body.get("Type"),
                body.get("SuppressionReason"),
                body.get("Description"),
                body.get("Details"),
            ),
        )
    ]


def _kind(body: Mapping[str, Any]) -> tuple[EventKind, EventKind | None]:
    match body.get("RecordType"):
        case "Delivery":
            return EventKind.DELIVERED, None
        case "SpamComplaint":
            return EventKind.COMPLAINT, None
        case "Bounce":
            return _bounce(str(body.get("Type"))), None
        case "SubscriptionChange" if body.get("SuppressSending") is True:
            return _listed(body)
    return EventKind.OTHER, None


def _bounce(name: str) -> EventKind:
    if name in _HARD:
        return EventKind.HARD_BOUNCE
    if name in _NO_BOUNCE:
        return EventKind.OTHER
    named = {"SpamComplaint": EventKind.COMPLAINT, "Unsubscribe": EventKind.UNSUBSCRIBED}
    return named.get(name, EventKind.SOFT_BOUNCE)


def _listed(body: Mapping[str, Any]) -> tuple[EventKind, EventKind | None]:
    """The address came on Postmark's list: by the reader's own hand, or because of what was told already."""
    because = _LISTED.get(str(body.get("SuppressionReason")))
    if because is EventKind.UNSUBSCRIBED and body.get("Origin") == "Recipient":
        return EventKind.UNSUBSCRIBED, None
    return EventKind.REJECTED, because


# Asking

WHAT = "its list of bounces, complaints and unsubscribes"


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """The suppressions of the stream that letters go by. Days are asked for in US Eastern time, so one more.
    Raises `emails.events.asking.Refusal`."""
    base = cast(PostmarkDialect, dialect).base_url
    day = (since - timedelta(days=1)).date().isoformat()
    page = get_page(ask, f"{base}/message-streams/{LETTERS}/suppressions/dump", {"fromdate": day})
    for each in items(page.get("Suppressions")):
        kind = _LISTED.get(str(each.get("SuppressionReason")))
        if kind is EventKind.UNSUBSCRIBED and each.get("Origin") != "Recipient":
            continue
        found = kind and listed("postmark", kind, each.get("EmailAddress"), each.get("CreatedAt"))
        if found:
            yield found
