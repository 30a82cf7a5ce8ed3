"""Amazon SES: events of a configuration set, brought by SNS as one signed notification a call.

The signature's certificate comes from Amazon itself: from no other host than `sns.REGION.amazonaws.com`, over
https. Only notifications of the operator's own topic count, as anybody may have SNS sign a topic of theirs.

Facts: the SNS pages on verifying signatures and the SES pages on event data, as of November 2026. SNS tries a
call again for about a minute unless the topic's delivery policy says more, up to an hour.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from emails.esp.base import Ask, Dialect
from emails.esp.http import Channel, HttpAnswer
from emails.esp.ses import SesDialect
from emails.events.asking import MAX_PAGES, TOO_LONG, Refusal, get_page, items_or_none, listed
from emails.events.event import Call, Event, EventKind, Forged, Malformed
from emails.events.proof import AHEAD, OLDEST, from_base64
from emails.events.public_keys import BadKey, RsaKey, rsa_key_of
from emails.events.reading import document, inner_json, key, mapping, one, ours, said, text, when

log = logging.getLogger("weekbrief.events")

NEEDS = ("SES_TOPIC_ARN",)
"""Not a secret: the name of the SNS topic that may report."""
SIGNED = True
QUICK = False
KEEPS = ()
HOW = "signed (SNS), and the topic's name"
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED_FIELDS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_DIGESTS = {"1": "sha1", "2": "sha256"}
_ARN = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]+\.pem")
_KINDS = {
    "send": EventKind.ACCEPTED,
    "delivery": EventKind.DELIVERED,
    "deliverydelay": EventKind.DEFERRED,
    "subscription": EventKind.UNSUBSCRIBED,
    "reject": EventKind.REJECTED,
    "rendering failure": EventKind.REJECTED,
    "renderingfailure": EventKind.REJECTED,
}


def verify(call: Call, secrets: Mapping[str, str], now: datetime) -> None:
    """The SNS signature, version 1 or 2, and the pinned topic. Raises `Forged`, and `Malformed` for a body
    that is not JSON."""
    body = one(document(call))
    topic = secrets[NEEDS[0]]
    region = _ARN.fullmatch(topic)
    if not region:
        raise Forged(f"{NEEDS[0]} is not the ARN of a topic; copy it again")
    if body.get("TopicArn") != topic:
        raise Forged("the call is about another topic")
    digest = _DIGESTS.get(str(body.get("SignatureVersion")))
    url = str(body.get("SigningCertURL") or body.get("SigningCertUrl"))
    if digest is None or not (is_amazons(url, region[1]) and _CERTIFICATE.fullmatch(urlsplit(url).path)):
        raise Forged("the certificate is not Amazon's")
    if not certificates.key(url).signed(_signed_text(body), from_base64(str(body.get("Signature"))), digest):
        raise Forged("the signature is not right")
    at = when(body.get("Timestamp"))
    if at is None or not now - OLDEST <= at <= now + AHEAD:
        raise Forged("the call is too old, or from the future")


def is_amazons(url: str, region: str) -> bool:
    """Is this an address of SNS in that region, over https?"""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    hosts = (f"sns.{region}.amazonaws.com", f"sns.{region}.amazonaws.com.cn")
    plain = not (parts.username or parts.password or parts.fragment) and url.isascii() and url.isprintable()
    return parts.scheme == "https" and parts.netloc in hosts and port is None and plain and "\\" not in url


def read(call: Call) -> list[Event]:
    """The SES event in a notification's `Message`; none in other calls. Raises `Malformed`."""
    body = one(document(call))
    if body.get("Type") != "Notification":
        return []
    told = inner_json(body.get("Message"))
    name = text(told.get("eventType") or told.get("notificationType"))
    if name is None:
        raise Malformed("the notification holds no event of SES")
    mail = mapping(told.get("mail"))
    tags = mapping(mail.get("tags"))
    about = {name: _first(tags.get(name)) for name in ("installation", "edition", "delivery")}
    kind, because, detail = _kind(name.lower(), told)
    return [
        Event(
            provider="ses",
            key=key(body.get("MessageId")),
            kind=kind,
            because=because,
            occurred_at=_when(told) or when(body.get("Timestamp")),
            installation=text(about["installation"]),
            edition=text(about["edition"]),
            delivery_id=ours(about["delivery"]),
            provider_id=text(mail.get("messageId")),
            detail=detail,
        )
    ]


def confirmation(call: Call) -> str | None:
    """The address that confirms the subscription of a topic, if that is what this (verified) call asks for
    and the address is Amazon's own."""
    body = one(document(call))
    url, region = text(body.get("SubscribeURL")), _ARN.fullmatch(str(body.get("TopicArn")))
    if body.get("Type") != "SubscriptionConfirmation" or not (url and region):
        return None
    return url if is_amazons(url, region[1]) else None


def _signed_text(body: Mapping[str, Any]) -> bytes:
    """Each field's name and value on lines of their own; a subject only where there is one."""
    names = _SIGNED_FIELDS.get(str(body.get("Type")))
    if names is None:
        raise Forged("the call is of an unknown type")
    lines = [f"{name}\n{body[name]}\n" for name in names if isinstance(body.get(name), str)]
    return "".join(lines).encode("utf-8", "replace")


def _kind(name: str, told: Mapping[str, Any]) -> tuple[EventKind, EventKind | None, str]:
    if name == "bounce":
        return _bounce(mapping(told.get("bounce")))
    if name == "complaint":
        return _complaint(mapping(told.get("complaint")))
    reason = mapping(told.get("reject") or told.get("failure") or told.get("deliveryDelay"))
    return (
        _KINDS.get(name, EventKind.OTHER),
        None,
        said(reason.get("reason"), reason.get("errorMessage"), reason.get("delayType")),
    )


def _bounce(bounce: Mapping[str, Any]) -> tuple[EventKind, EventKind | None, str]:
    one_of = bounce.get("bouncedRecipients")
    first = mapping(one_of[0]) if isinstance(one_of, list) and one_of else {}
    detail = said(
        bounce.get("bounceType"),
        bounce.get("bounceSubType"),
        first.get("status"),
        first.get("diagnosticCode"),
    )
    if bounce.get("bounceSubType") in ("Suppressed", "OnAccountSuppressionList"):
        return EventKind.REJECTED, EventKind.HARD_BOUNCE, detail
    hard = bounce.get("bounceType") == "Permanent"
    return (EventKind.HARD_BOUNCE if hard else EventKind.SOFT_BOUNCE), None, detail


def _complaint(complaint: Mapping[str, Any]) -> tuple[EventKind, EventKind | None, str]:
    detail = said(complaint.get("complaintFeedbackType"), complaint.get("complaintSubType"))
    if complaint.get("complaintSubType") == "OnAccountSuppressionList":
        return EventKind.REJECTED, EventKind.COMPLAINT, detail
    # RFC 6650 3.3: a report may also say that a message is no spam.
    liked = complaint.get("complaintFeedbackType") == "not-spam"
    return (EventKind.OTHER if liked else EventKind.COMPLAINT), None, detail


def _when(told: Mapping[str, Any]) -> datetime | None:
    for name in ("delivery", "bounce", "complaint", "deliveryDelay"):
        if at := when(mapping(told.get(name)).get("timestamp")):
            return at
    return None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


class Certificates:
    """The keys of SNS by address. A call that anybody may send makes us fetch few, and none twice."""

    def __init__(self, fetch: Callable[[str], bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, RsaKey] = {}
        self._lock = threading.Lock()
        self._not_before = 0.0

    def key(self, url: str) -> RsaKey:
        """The key of the certificate at `url`, which must be Amazon's. Raises `Forged` if there is none."""
        with self._lock:
            if url not in self._known:
                self._known = {**dict(list(self._known.items())[-7:]), url: self._fetched(url)}
            return self._known[url]

    def _fetched(self, url: str) -> RsaKey:
        if self._clock() < self._not_before:
            raise Forged("the certificate cannot be fetched now")
        self._not_before = self._clock() + BETWEEN_FETCHES
        try:
            return rsa_key_of(_der(self._fetch(url)))
        except BadKey as error:
            raise Forged(f"the certificate cannot be read ({error})") from None


BETWEEN_FETCHES = 5.0
"""Seconds. Amazon changes its certificate about once a year."""


def fetch(url: str) -> bytes:
    """What Amazon has at `url`. Raises `Forged` when it cannot be had."""
    channel = Channel(max_answer_bytes=20_000)
    try:
        answer = channel.exchange("GET", url, headers={"user-agent": "weekbrief"}, body=b"", deadline=10.0)
    finally:
        channel.close()
    if isinstance(answer, HttpAnswer) and answer.status == 200 and not answer.cut:
        return answer.body
    why = f"HTTP {answer.status}" if isinstance(answer, HttpAnswer) else answer.error
    log.warning("Amazon's %s could not be fetched: %s", urlsplit(url).hostname, why)
    raise Forged("the certificate cannot be fetched now")


def _der(pem: bytes) -> bytes:
    """The first certificate of a PEM file (RFC 7468 5)."""
    found = re.search(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", pem)
    try:
        return base64.b64decode(found[1]) if found else b""
    except binascii.Error:
        return b""


certificates = Certificates(lambda url: fetch(url))


# Asking

WHAT = "the account's list of bounces and complaints"
_REASONS = {"BOUNCE": EventKind.HARD_BOUNCE, "COMPLAINT": EventKind.COMPLAINT}
_PAGE = 1_000


def pull(dialect: Dialect, since: datetime, _now: datetime, ask: Ask) -> Iterator[Event]:
    """`ListSuppressedDestinations`. Raises `emails.events.asking.Refusal`."""
    url = f"{cast(SesDialect, dialect).base_url}/v2/email/suppression/addresses"
    query: dict[str, object] = {"PageSize": _PAGE, "StartDate": f"{since.timestamp():.0f}"}
    for _ in range(MAX_PAGES):
        page = get_page(ask, url, query)
        for each in items_or_none(page, "SuppressedDestinationSummaries", "NextToken"):
            kind = _REASONS.get(str(each.get("Reason")))
            found = kind and listed("ses", kind, each.get("EmailAddress"), each.get("LastUpdateTime"))
            if found:
                yield found
        following = text(page.get("NextToken"))
        if following is None:
            return
        query["NextToken"] = page.get("NextToken")
    raise Refusal(TOO_LONG)
