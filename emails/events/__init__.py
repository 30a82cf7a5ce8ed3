"""What providers report of a letter after they took it: one file each, and one way to ask for it.

    call ─▶ verify (Forged?) ─▶ stored as it came … read ─▶ Event[] (Malformed?)

A provider's file knows how a call proves where it comes from, which of its words mean what, and, where its
API tells the same facts when asked, how to ask (`pull`). It touches nothing but what it is handed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from emails.events.event import Call, Event, EventKind, Forged, Malformed

__all__ = ["Call", "Event", "EventKind", "Forged", "Malformed", "Reporter", "reporter", "reporter_names"]

_REPORTERS = (
    "resend",
    "lettermint",
    "postmark",
    "brevo",
    "mailgun",
    "sendgrid",
    "ses",
    "mailjet",
    "sparkpost",
    "mailersend",
)


class Reporter(Protocol):
    """One provider's reports; each is a module of this package with these names."""

    NEEDS: Sequence[str]
    """Names of the environment without which no call can be checked."""
    SIGNED: bool
    """Is the whole body signed? If not, a report acts only on a delivery whose id it knows."""
    KEEPS: Sequence[str]
    """Headers that `read` looks at; no others are stored."""
    QUICK: bool
    """Does proving a call take no more than some microseconds of hashing? If not, it takes public-key
    arithmetic, and perhaps the fetching of a key."""
    HOW: str
    """How a call proves where it comes from, in a few words for people."""

    def verify(self, call: Call, secrets: Mapping[str, str], now: datetime) -> None:
        """Raises `Forged` unless the call comes from the provider. `secrets` holds all of `NEEDS`."""
        ...

    def read(self, call: Call) -> list[Event]:
        """What the call reports; raises `Malformed`."""
        ...


def reporter_names() -> tuple[str, ...]:
    """Providers whose reports are understood."""
    return _REPORTERS


def reporter(name: str) -> Reporter | None:
    """The reports of the provider called `name`; None for one that makes none."""
    return _module(name) if name in _REPORTERS else None


@cache
def _module(name: str) -> Reporter:
    return cast(Reporter, import_module(f"emails.events.{name}"))
