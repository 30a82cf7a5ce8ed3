"""What other programs call things in the list they export: one entry a program.

An entry says by which titles an export is recognised, which columns hold what, and what each status means
for us. Where an entry was read from stands in `seen`; where it is empty the titles are taken from the
program's own interface description and have not been seen in a real export (`docs/importing.md`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from subscribers.suppression import SuppressionReason


class ListStatus(StrEnum):
    """What another program says of a person on its list."""

    ACTIVE = "active"
    UNCONFIRMED = "unconfirmed"
    """Never agreed there, or never answered: neither taken over nor asked again."""
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BLOCKED = "blocked"
    """Kept from mail by the operator there."""

    @property
    def reason(self) -> SuppressionReason | None:
        """Why such a person must not be mailed; None for those who may be."""
        return _REASONS.get(self)


_REASONS: Final = {
    ListStatus.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBED,
    ListStatus.BOUNCED: SuppressionReason.HARD_BOUNCE,
    ListStatus.COMPLAINED: SuppressionReason.COMPLAINT,
    ListStatus.BLOCKED: SuppressionReason.MANUAL,
}


def title(cell: str) -> str:
    """A column's title as it is compared: `E-Mail_Address` is `e mail address`."""
    return " ".join(cell.lower().replace("_", " ").replace("-", " ").split())


_SAME: Final[Mapping[ListStatus, tuple[str, ...]]] = {
    ListStatus.ACTIVE: ("active", "subscribed", "enabled", "confirmed", "actief", "aktiv", "actif", "activo"),
    ListStatus.UNCONFIRMED: ("unconfirmed", "pending", "non subscribed", "nonsubscribed", "onbevestigd"),
    ListStatus.UNSUBSCRIBED: (
        *("unsubscribed", "cancelled", "canceled", "inactive", "removed", "opted out", "opt out", "left"),
        *("uitgeschreven", "afgemeld", "inactief", "abgemeldet", "désabonné", "dado de baja"),
    ),
    ListStatus.BOUNCED: ("bounced", "hard bounce", "hard bounced", "cleaned", "undeliverable", "invalid"),
    ListStatus.COMPLAINED: ("complained", "complaint", "spam", "junk", "spam complaint"),
    ListStatus.BLOCKED: ("blocked", "blocklisted", "blacklisted", "disabled", "suppressed", "manual"),
}
STATUSES: Final[Mapping[str, ListStatus]] = {
    word: status for status, words in _SAME.items() for word in words
}
"""What most programs mean by a word. Where it can mean two things, the one that mails fewer people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The list one program exports. Titles are as `title` gives them."""

    name: str
    """As `--from` takes it."""
    program: str
    """As people call it."""
    marks: tuple[frozenset[str], ...]
    """A file that has all titles of one of these is recognised."""
    email: tuple[str, ...] = ("email",)
    """The first of these that is there."""
    names: tuple[tuple[str, ...], ...] = (("name",), ("first name", "last name"))
    """The first of these of which a column is there; more columns are joined with a space."""
    language: tuple[str, ...] = ("language", "lang", "taal")
    status: tuple[str, ...] = ("status",)
    statuses: Mapping[str, ListStatus] = field(default_factory=lambda: STATUSES)
    otherwise: Mapping[str, ListStatus] = field(default_factory=dict)
    """Column → what it means when anything stands in it. These come before the status."""
    left_at: tuple[str, ...] = ()
    consent_at: tuple[str, ...] = ()
    """When they agreed there; the first that is filled in."""
    consent_source: tuple[str, ...] = ()
    files: Mapping[str, ListStatus] = field(default_factory=dict)
    """Begin of the file's name → what everyone in it is, where the export has no column for it."""
    seen: str = ""
    """Where these titles were read."""

    def fits(self, titles: Collection[str]) -> bool:
        return any(marks <= set(titles) for marks in self.marks)

    def by_file(self, file_name: str) -> ListStatus | None:
        """What the file's name says of everyone in it."""
        found = (status for start, status in self.files.items() if file_name.lower().startswith(start))
        return next(found, None)


def _marks(*groups: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(map(str.strip, group.split(","))) for group in groups)


PLAIN: Final = Format(
    name="plain",
    program="a plain list",
    marks=(),
    email=("email", "e mail", "email address", "e mail address", "emailadres", "e mailadres", "mail"),
    names=(("name",), ("naam",), ("full name",), ("first name", "last name"), ("voornaam", "achternaam")),
    status=("status", "state"),
    consent_at=("consent at", "opt in date", "optin date", "consent date"),
    consent_source=("consent source",),
)

FORMATS: Final[tuple[Format, ...]] = (
    Format(
        name="weekbrief",
        program="weekbrief",
        marks=_marks("email, status, consent at, consent source, suppressed at"),
        left_at=("suppressed at",),
        consent_at=("consent at",),
        consent_source=("consent source",),
        seen="our own export",
    ),
    Format(
        name="mailchimp",
        program="Mailchimp",
        marks=_marks("email address, member rating", "email address, optin time", "email address, leid"),
        email=("email address",),
        otherwise={"clean time": ListStatus.BOUNCED, "unsub time": ListStatus.UNSUBSCRIBED},
        left_at=("unsub time", "clean time"),
        consent_at=("confirm time", "optin time"),
        files={
            "unsubscribed": ListStatus.UNSUBSCRIBED,
            "cleaned": ListStatus.BOUNCED,
            "nonsubscribed": ListStatus.UNCONFIRMED,
            "subscribed": ListStatus.ACTIVE,
        },
        seen="buttondown/roadmap issue 2276",
    ),
    Format(
        name="substack",
        program="Substack",
        marks=_marks("email, active subscription, created at", "email, email disabled, created at"),
        status=("email disabled",),
        statuses={"true": ListStatus.UNSUBSCRIBED, "false": ListStatus.ACTIVE},
        consent_at=("created at",),
        seen="tests of TryGhost/migrate (mg-substack)",
    ),
    Format(
        name="substack",
        program="Substack",
        marks=_marks("email, subscription type, subscription date", "email, stripe plan, start date"),
        status=(),
        consent_at=("subscription date", "start date"),
        seen="buttondown/roadmap issue 2282",
    ),
    Format(
        name="kit",
        program="Kit",
        marks=_marks("email address, first name, state", "email, first name, state, created at"),
        email=("email address", "email"),
        names=(("first name", "last name"),),
        status=("state", "status"),
        statuses={**STATUSES, "inactive": ListStatus.UNCONFIRMED},
        consent_at=("created at", "subscribed at"),
    ),
    Format(
        name="beehiiv",
        program="beehiiv",
        marks=_marks("email, status, created at, tier", "email, status, created at, subscription tier"),
        names=(("first name", "last name"), ("name",)),
        statuses={
            **STATUSES,
            "validating": ListStatus.UNCONFIRMED,
            "needs attention": ListStatus.UNCONFIRMED,
        },
        otherwise={"unsubscribed at": ListStatus.UNSUBSCRIBED},
        left_at=("unsubscribed at",),
        consent_at=("subscription date (substack)", "created at"),
        seen="tests of TryGhost/migrate (mg-beehiiv-members)",
    ),
    Format(
        name="buttondown",
        program="Buttondown",
        marks=_marks(
            "email, subscriber type", "email address, subscriber type", "email address, type, metadata"
        ),
        email=("email", "email address"),
        status=("subscriber type", "type"),
        statuses={
            **STATUSES,
            **dict.fromkeys(
                ("regular", "premium", "gifted", "trialed", "churning", "past due"), ListStatus.ACTIVE
            ),
            **dict.fromkeys(("churned", "unpaid"), ListStatus.ACTIVE),
            **dict.fromkeys(("unactivated", "upcoming", "paused"), ListStatus.UNCONFIRMED),
            "spammy": ListStatus.BLOCKED,
        },
        otherwise={"unsubscription date": ListStatus.UNSUBSCRIBED},
        left_at=("unsubscription date",),
        consent_at=("subscription date", "creation date"),
    ),
    Format(
        name="ghost",
        program="Ghost",
        marks=_marks("email, subscribed to emails"),
        status=("subscribed to emails",),
        statuses={"true": ListStatus.ACTIVE, "false": ListStatus.UNSUBSCRIBED},
        otherwise={"deleted at": ListStatus.UNSUBSCRIBED},
        left_at=("deleted at",),
        consent_at=("created at",),
        seen="tests of TryGhost/Ghost (members-csv)",
    ),
    Format(
        name="listmonk",
        program="listmonk",
        # `enabled` is said of the person, not of the list: who left the list is enabled still. So this file
        # shows no consent, and no column of it counts as its date.
        marks=_marks("uuid, email, status, attributes"),
        seen="knadh/listmonk, cmd/subscribers.go",
    ),
    Format(
        name="mailerlite",
        program="MailerLite",
        marks=_marks("subscriber, subscribed", "email, subscribed, opens count", "subscriber, status"),
        email=("subscriber", "email"),
        names=(("name", "last name"), ("first name", "last name")),
        otherwise={"unsubscribed": ListStatus.UNSUBSCRIBED, "unsubscribed at": ListStatus.UNSUBSCRIBED},
        left_at=("unsubscribed", "unsubscribed at"),
        consent_at=("confirmation timestamp", "opted in at", "subscribed", "subscribed at"),
    ),
    Format(
        name="laposta",
        program="Laposta",
        marks=_marks(
            "email, state, signup date", "email, state, confirm date", "e mailadres, status, aanmelddatum"
        ),
        email=("email", "e mailadres"),
        names=(("voornaam", "achternaam"), ("naam",), ("name",)),
        status=("state", "status"),
        consent_at=("confirm date", "signup date", "aanmelddatum"),
        consent_source=("source url",),
    ),
)

NAMES: Final = tuple(dict.fromkeys(one.name for one in FORMATS))


def recognised(titles: Collection[str]) -> Format:
    """Whose export has these titles; `PLAIN` if nobody's we know."""
    return next((one for one in FORMATS if one.fits(titles)), PLAIN)


def named(name: str, titles: Collection[str]) -> Format:
    """The entry of that name, the one that fits best if there are several."""
    mine = [one for one in (*FORMATS, PLAIN) if one.name == name]
    return next((one for one in mine if one.fits(titles)), mine[0])
