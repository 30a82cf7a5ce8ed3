"""How many sign-ups are taken up in an hour: few from one network, and a bounded number in all.

Someone who types many strangers' addresses into the form makes us mail people who did not ask, and our good
name with mailbox providers pays for it. Over a limit the visitor gets the very same answer, and nothing is
sent. Each address has limits of its own besides (`subscriber.may_ask`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from subscribers.ports import JoinCounter

WINDOW: Final = timedelta(hours=1)
"""Windows begin at the full hour, UTC."""
COUNTS_LIFE: Final = timedelta(days=2)
"""How long counters are kept."""
MIN_FILL: Final = timedelta(seconds=2)
"""Nobody reads the form and types an address in less. A browser that fills it in by itself needs about two
seconds with the press of the button; programs need a fifth of one."""
MAX_FILL: Final = timedelta(days=1)
"""How long a form may lie open."""


class Held(StrEnum):
    """Why a sign-up was held back."""

    NETWORK = "network"
    """There were too many from the visitor's network."""
    OVERALL = "overall"
    """There were too many in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sign-ups in an hour: `per_network` whatever was typed, `overall` those a message would follow."""

    per_network: int = 10
    overall: int = 200

    def for_form(self, *, stamped: bool) -> Limits:
        """A form that does not say when it was opened (one on another site) may use half of what there is, so
        that a flood through it leaves the sign-up page its other half."""
        if stamped:
            return self
        return Limits(per_network=(self.per_network + 1) // 2, overall=(self.overall + 1) // 2)


def window(at: datetime) -> datetime:
    """When the hour that `at` lies in began."""
    return at.replace(minute=0, second=0, microsecond=0)


def in_time(opened: datetime | None, *, at: datetime) -> bool:
    """True if a form that was opened then, by its stamp, may come back now. None: the stamp is false."""
    return opened is not None and MIN_FILL <= at - opened <= MAX_FILL


class Doorkeeper:
    """Counts the sign-ups of one hour against their limits. Blocks on the store."""

    def __init__(self, counter: JoinCounter, limits: Limits, *, scope_of: Callable[[str], str]) -> None:
        """`scope_of` makes a keyed hash of a network: the counters must not tell where visitors were."""
        self._counter = counter
        self._limits = limits
        self._scope_of = scope_of

    def network_has_room(self, network: str, *, stamped: bool, at: datetime) -> bool:
        """Count a sign-up from `network`. A visitor whose network is not known counts in `overall` alone."""
        if not network:
            return True
        most = self._limits.for_form(stamped=stamped).per_network
        return self._counter.count(self._scope_of(network), since=window(at), most=most)

    def has_room(self, *, stamped: bool, at: datetime) -> bool:
        """Count a sign-up that a message would follow."""
        most = self._limits.for_form(stamped=stamped).overall
        return self._counter.count("all", since=window(at), most=most)
