"""What a provider's report means for a person and for an edition. Decisions only: nothing here acts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from emails.events import Event, EventKind
from subscribers.suppression import SuppressionReason

REFUSALS = 3
"""Editions in a row that a mailbox refused for now, before we stop knocking."""
REFUSING_FOR = timedelta(days=14)
"""And for how long at least: three refusals within a fortnight may be one holiday with a full mailbox."""
KEEPS_REFUSING = "mailbox keeps refusing"
"""The source of such a suppression; proof that a letter did arrive ends it."""

COMPLAINTS, COMPLAINT_RATE = 3, 0.001
"""Complaints that stop an edition: so many, and this part of those who were sent to. Gmail and Yahoo ask for
less than 0.1 % and turn mail away at 0.3 %; a single reader who presses the wrong button stops nothing."""
BOUNCES, BOUNCE_RATE = 20, 0.05
"""Hard bounces that stop an edition. A list that was kept well has under 1 %; providers suspend accounts at 5
to 10 %. So many, because the first batches of a small list say little."""

_REASONS = {
    EventKind.HARD_BOUNCE: SuppressionReason.HARD_BOUNCE,
    EventKind.COMPLAINT: SuppressionReason.COMPLAINT,
}


def reason_of(event: Event) -> SuppressionReason | None:
    """Why the address must not be mailed again, if the event says so."""
    return _REASONS.get(event.because or event.kind)


def left(event: Event) -> bool:
    """Has the reader left, by a button or link of the provider's?"""
    return (event.because or event.kind) is EventKind.UNSUBSCRIBED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What is known of one edition to one person."""

    edition: int
    at: datetime
    arrived: bool
    """False: every report says that it was refused for now."""


def refusals(past: Iterable[Reached]) -> Sequence[Reached]:
    """The last editions in a row that were refused, oldest first: none of them arrived. The order in which
    the reports came does not matter."""
    row: list[Reached] = []
    for each in sorted(past, key=lambda one: one.edition, reverse=True):
        if each.arrived:
            break
        row.insert(0, each)
    return row


def keeps_refusing(row: Sequence[Reached]) -> bool:
    """True when a row of refusals is long enough to count as a mailbox that is no more."""
    return len(row) >= REFUSALS and row[-1].at - row[0].at >= REFUSING_FOR


def brake(*, accepted: int, complaints: int, bounces: int) -> str | None:
    """Why an edition that is being sent must stop, or None. All are numbers of people, of those the provider
    took so far."""
    taken = max(accepted, 1)
    if complaints >= COMPLAINTS and complaints / taken >= COMPLAINT_RATE:
        return _too_many(complaints, "complained", taken, COMPLAINT_RATE)
    if bounces >= BOUNCES and bounces / taken >= BOUNCE_RATE:
        return _too_many(bounces, "bounced for good", taken, BOUNCE_RATE)
    return None


def _too_many(number: int, what: str, taken: int, limit: float) -> str:
    return (
        f"{number} of {taken} {what} ({number / taken:.2%}; the brake is at {limit:.1%}): look at why first"
    )
