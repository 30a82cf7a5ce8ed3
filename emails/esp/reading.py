"""Reading a provider's answer: the rules that hold for every provider, in one place.

A provider's own file says in a `Rules` table where it differs, and turns its error body into a `Complaint`.
What no rule knows is UNCERTAIN: never "accepted", never a free retry.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from emails.delivery import Answer, AnswerClass, DeliveryState, Receipt, Request
from emails.esp.http import HttpAnswer, NoAnswer, Reach
from emails.plainly import plain

MAX_RETRY_AFTER = 900.0
"""Seconds. A provider that says "in a year" is asked again after a quarter of an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A provider's error in the shape it documents."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where a provider differs. Codes are the provider's own words, in 4xx answers."""

    hold: frozenset[str] = frozenset()
    """No batch will do better: quota, account, domain, sender."""
    busy: frozenset[str] = frozenset()
    """An earlier request with this key is still running."""
    changed: frozenset[str] = frozenset()
    """This key was used before with another body."""
    refused: frozenset[int] = frozenset({400, 404, 405, 413, 415, 422})
    unprocessed: frozenset[int] = frozenset()
    """Statuses besides 429 that the provider documents as "not processed"."""


# No answer


def read_no_answer(outcome: NoAnswer) -> Answer:
    """An attempt without a status line: what left decides."""
    match outcome.reach:
        case Reach.NOTHING_LEFT:
            kind = AnswerClass.NOT_SENT
        case Reach.CERTIFICATE | Reach.UNUSABLE:
            kind = AnswerClass.HOLD
        case Reach.SOMETHING_LEFT:
            kind = AnswerClass.UNCERTAIN
    return Answer(kind=kind, error=outcome.error)


# Success


def is_success(answer: HttpAnswer) -> bool:
    return 200 <= answer.status < 300


def accepted(answer: HttpAnswer, receipts: Sequence[Receipt] = (), *, alarm: str | None = None) -> Answer:
    """A 2xx in the provider's shape. Without receipts the ids are missing: never resent, but told."""
    return Answer(
        kind=AnswerClass.ACCEPTED,
        receipts=tuple(receipts),
        http_status=answer.status,
        body_sha256=_digest(answer),
        alarm=alarm,
    )


def in_order(answer: HttpAnswer, request: Request, ids: Sequence[str | None]) -> Answer:
    """Ids of a provider that documents "one for each message, in order", and echoes nothing of ours.

    More, fewer or repeated ids match nobody for sure: accepted without ids, with an alarm.
    """
    wanted = len(request.recipients)
    known = [provider_id for provider_id in ids if provider_id]
    if len(ids) != wanted or len(set(known)) != wanted:
        return accepted(
            answer, alarm=f"the provider took {wanted} messages and named {len(set(known))} of them"
        )
    return accepted(
        answer,
        [
            Receipt(delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED, provider_id=provider_id)
            for person, provider_id in zip(request.recipients, known, strict=True)
        ],
    )


# Everything else


def read_failure(answer: HttpAnswer, complaint: Complaint | None, rules: Rules) -> Answer:
    """The class of an answer that is no success in the provider's shape.

    `complaint` is None when the body is not the provider's error shape (or not whole): then only what the
    status line alone proves is believed.
    """
    kind, in_doubt = _class_of(answer.status, complaint, rules)
    waits = kind in (AnswerClass.NOT_SENT, AnswerClass.BUSY)
    return Answer(
        kind=kind,
        http_status=answer.status,
        error=_words(answer, complaint),
        retry_after=retry_after(answer) if waits else None,
        body_sha256=_digest(answer),
        in_doubt=in_doubt,
    )


def _class_of(status: int, complaint: Complaint | None, rules: Rules) -> tuple[AnswerClass, bool]:
    code = complaint.code if complaint else None
    if 300 <= status < 400:
        return AnswerClass.HOLD, True
    if 400 <= status < 500 and code in rules.changed:
        return AnswerClass.HOLD, True
    if 400 <= status < 500 and code in rules.busy:
        return AnswerClass.BUSY, False
    if status in (401, 403) or (400 <= status < 500 and code in rules.hold):
        return AnswerClass.HOLD, False
    if status == 429 or status in rules.unprocessed:
        return AnswerClass.NOT_SENT, False
    if complaint and status in rules.refused:
        return AnswerClass.REFUSED, False
    return AnswerClass.UNCERTAIN, False


def retry_after(answer: HttpAnswer) -> float | None:
    """Seconds to wait by `Retry-After` (RFC 9110 10.2.3: seconds or a date), 0 to `MAX_RETRY_AFTER`.

    None when there is none or it makes no sense: the caller then backs off by its own rule. A date is
    compared with the answer's own `Date`, so that a wrong clock on either side does no harm.
    """
    value = answer.headers.get("retry-after", "").strip()
    seconds = _seconds(value)
    if seconds is None:
        at = _date(value)
        if at is None:
            return None
        now = _date(answer.headers.get("date", "")) or answer.received
        seconds = (at - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _seconds(value: str) -> float | None:
    if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,9})?", value, re.ASCII):
        return None
    seconds = float(value)
    return seconds if math.isfinite(seconds) else None


def _date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _words(answer: HttpAnswer, complaint: Complaint | None) -> str:
    if complaint:
        return f"HTTP {answer.status} {plain(complaint.code)}: {plain(complaint.message)}"
    if 300 <= answer.status < 400:
        return f"HTTP {answer.status}: a redirect, which is not followed; check provider.base_url"
    if answer.cut:
        return f"HTTP {answer.status}: {answer.cut}"
    return f"HTTP {answer.status}: not an answer in this provider's shape"


# Bodies


def json_of(answer: HttpAnswer) -> Any:
    """The whole body as JSON, or None when it is cut, empty or no JSON."""
    if answer.cut or not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _digest(answer: HttpAnswer) -> str:
    return hashlib.sha256(answer.body).hexdigest()
