"""Everything that is held about one person, for that person (GDPR, articles 15 and 20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from subscribers.consent import ConsentRecord
from subscribers.moving import AddressChange
from subscribers.subscriber import Subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the mail provider told of one letter."""

    kind: str
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One edition that was made out to them."""

    day: str
    """Local date of its slot, `2026-11-29`."""
    question: str
    state: str
    """`emails.delivery.DeliveryState`."""
    reason: str
    address: str
    name: str
    message: str
    """The provider's id of the message, if we know it."""
    reports: Sequence[Report] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A standing reason not to mail them."""

    reason: str
    source: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All of it. `as_object` gives what a download holds."""

    subscriber: Subscriber
    consents: Sequence[ConsentRecord]
    letters: Sequence[Received]
    """Newest first."""
    stops: Sequence[Stop]
    changes: Sequence[AddressChange]
    soft_bounces: int = 0
    """Letters in a row that their mailbox refused for now."""
    soft_since: datetime | None = None
    """When the first of these was."""

    def as_object(self) -> dict[str, object]:
        """JSON's own kinds only. Instants are ISO 8601 in UTC; what is not known is null."""
        who = self.subscriber
        return {
            "number": who.id,
            "address": who.address,
            "address_as_compared": who.address_key,
            "name": who.name,
            "language": who.language,
            "state": who.state.value,
            "frequency": who.frequency.value,
            "paused_until": _moment(who.paused_until),
            "created_at": _moment(who.created_at),
            "asked_at": _moment(who.asked_at),
            "times_asked": who.asks,
            "requests": who.confirm_round,
            "reminded_at": _moment(who.reminded_at),
            "confirmed_at": _moment(who.confirmed_at),
            "unsubscribed_at": _moment(who.unsubscribed_at),
            "refused_for_now": self.soft_bounces,
            "refused_since": _moment(self.soft_since),
            "consents": [_consent(record) for record in self.consents],
            "letters": [_letter(letter) for letter in self.letters],
            "not_to_be_mailed": [
                {"reason": stop.reason, "source": stop.source, "since": _moment(stop.since)}
                for stop in self.stops
            ],
            "address_changes": [
                {
                    "address": change.address or None,
                    "requested_at": _moment(change.requested_at),
                    "done_at": _moment(change.done_at),
                }
                for change in self.changes
            ],
        }


def _consent(record: ConsentRecord) -> dict[str, object]:
    return {
        "kind": record.kind.value,
        "wording": record.wording,
        "form": record.form,
        "source": record.source,
        "page": record.page,
        "language": record.language,
        "network": record.network or None,
        "occurred_at": _moment(record.occurred_at),
    }


def _letter(letter: Received) -> dict[str, object]:
    return {
        "edition": letter.day,
        "question": letter.question,
        "state": letter.state,
        "reason": letter.reason or None,
        "address": letter.address or None,
        "name": letter.name,
        "message": letter.message or None,
        "reports": [
            {"kind": report.kind, "at": _moment(report.at), "detail": report.detail or None}
            for report in letter.reports
        ],
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
