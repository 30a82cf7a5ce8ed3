"""What a row of a list means for the person it names. Decisions only: nothing here acts.

Three rules hold whatever the list says: who left, complained or bounced is never brought back; nobody is
taken for someone who agreed unless it is said where and when; who never answered is not asked by us either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from subscribers.addresses import Address
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.import_formats import ListStatus
from subscribers.importing import ImportProblem, ImportRow
from subscribers.subscriber import SubscriberState
from subscribers.suppression import SuppressionReason


class Wish(StrEnum):
    """What the list wants of us for one person."""

    CONFIRM = "confirm"
    """They agreed elsewhere, and it is said where and when."""
    ASK = "ask"
    KEEP_OUT = "keep_out"
    LEAVE_ALONE = "leave_alone"


class Fate(StrEnum):
    """What became of one row."""

    ADDED = "added"
    CONFIRMED = "confirmed"
    """Was waiting here for their yes; gets the letter now."""
    ALREADY_ACTIVE = "already_active"
    SUPPRESSED = "suppressed"
    """Left, complained or bounced before: stays away."""
    ASKED = "asked"
    NOT_ASKED = "not_asked"
    """Was asked lately, or often enough."""
    KEPT_OUT = "kept_out"
    """The list says that they must not be mailed; noted."""
    KEPT_OUT_ALREADY = "kept_out_already"
    CAME_BACK = "came_back"
    """They left there and joined here afterwards; their later word counts."""
    UNCONFIRMED = "unconfirmed"
    """Never agreed on that list: passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the operator says about a whole list."""

    confirmed: bool
    """They agreed already, elsewhere."""
    source: str | None = None
    """Where; None: the file says it."""
    at: datetime | None = None
    """When; None: the file says it."""
    language: str
    """Of those for whom the file names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One row, understood."""

    line: int
    address: Address
    name: str
    language: str
    wish: Wish
    consent: ConsentRecord | None = None
    """With `CONFIRM`."""
    reason: SuppressionReason | None = None
    """With `KEEP_OUT`."""
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known here about an address."""

    state: SubscriberState | None = None
    """None: nobody we know."""
    confirmed_at: datetime | None = None
    suppressed: SuppressionReason | None = None


def understood(row: ImportRow, claim: Claim, *, now: datetime) -> Wanted | ImportProblem:
    """What `row` wants of us, under what the operator claims about the list."""
    at = row.consent_at or claim.at
    for moment, field in ((at, "consent_at"), (row.left_at, "status")):
        if moment is not None and moment > now:
            return ImportProblem(line=row.line, field=field, message="it holds a date in the future")
    language = row.language or claim.language
    reason = row.status.reason if row.status else None
    consent = _consent(row, claim, at, language)
    wish = Wish.CONFIRM if consent else Wish.ASK
    if reason:
        wish = Wish.KEEP_OUT
    elif row.status is ListStatus.UNCONFIRMED:
        wish = Wish.LEAVE_ALONE
    return Wanted(
        line=row.line,
        address=row.address,
        name=row.name,
        language=language,
        wish=wish,
        consent=consent if wish is Wish.CONFIRM else None,
        reason=reason,
        left_at=row.left_at,
    )


def fate(wanted: Wanted, standing: Standing) -> Fate:
    """What is to become of it. `ASKED` means: may be asked, if they were not asked lately."""
    match wanted.wish:
        case Wish.KEEP_OUT:
            return _kept_out(wanted, standing)
        case Wish.LEAVE_ALONE:
            return Fate.UNCONFIRMED
    if standing.suppressed is not None:
        return Fate.SUPPRESSED
    if standing.state is SubscriberState.ACTIVE:
        return Fate.ALREADY_ACTIVE
    if wanted.wish is Wish.CONFIRM:
        return Fate.ADDED if standing.state is None else Fate.CONFIRMED
    return Fate.SUPPRESSED if standing.state is SubscriberState.UNSUBSCRIBED else Fate.ASKED


def after(wanted: Wanted, decided: Fate, standing: Standing) -> Standing:
    """How the person stands once that has become of the row."""
    match decided:
        case Fate.ADDED | Fate.CONFIRMED:
            at = wanted.consent.occurred_at if wanted.consent else None
            return replace(standing, state=SubscriberState.ACTIVE, confirmed_at=at)
        case Fate.ASKED:
            return replace(standing, state=SubscriberState.PENDING)
        case Fate.KEPT_OUT:
            state = SubscriberState.UNSUBSCRIBED if leaves(wanted, standing) else standing.state
            return replace(standing, state=state, suppressed=wanted.reason)
        case _:
            return standing


def leaves(wanted: Wanted, standing: Standing) -> bool:
    """True if someone who is here, or waits to be, leaves when they are kept out by this row."""
    here = standing.state in (SubscriberState.ACTIVE, SubscriberState.PENDING)
    return here and wanted.reason is SuppressionReason.UNSUBSCRIBED


def _kept_out(wanted: Wanted, standing: Standing) -> Fate:
    if standing.suppressed is None and standing.state is SubscriberState.ACTIVE:
        joined, left = standing.confirmed_at, wanted.left_at
        if joined is not None and left is not None and joined > left:
            return Fate.CAME_BACK
    # Whoever was erased is kept out by a hash; noting the address would undo the erasure.
    if standing.suppressed is SuppressionReason.ERASED:
        return Fate.KEPT_OUT_ALREADY
    stands = standing.suppressed is not None and not (
        wanted.reason is not None and wanted.reason.outranks(standing.suppressed)
    )
    return Fate.KEPT_OUT_ALREADY if stands else Fate.KEPT_OUT


def _consent(row: ImportRow, claim: Claim, at: datetime | None, language: str) -> ConsentRecord | None:
    """Evidence for a person who agreed elsewhere; None unless it is said that they did, where and when."""
    source = claim.source or row.consent_source
    if not claim.confirmed or not source or at is None:
        return None
    return ConsentRecord(
        kind=ConsentKind.IMPORTED, wording="", source=source, page="", language=language, occurred_at=at
    )
