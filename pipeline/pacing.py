"""The pace of calls: spread evenly, slowed by the provider's own word, and remembered across runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from pipeline.settings import Doubt

SPARE = 1.02
"""A provider counts calls as they arrive, and some arrive sooner than others: at exactly its limit every
second window of ten calls would hold an eleventh. Two in a hundred are left unused."""
NUDGE = timedelta(milliseconds=200)
"""The longest that a call is kept back whose intent is already written."""
RECOVERY = 1.05
"""How much faster each accepted call lets us go again after the provider slowed us down."""
FARTHEST = timedelta(hours=1)
"""Four times the longest `Retry-After` that is heeded (`emails.esp.reading.MAX_RETRY_AFTER`)."""
MOST_WAITING = 64
"""Calls that may have taken their moment and not left yet: more than there can be workers."""
SLOWEST = 0.05
"""A provider that says "too fast" at a twentieth of the pace has another problem than our pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How an edition leaves. Seconds for `deadline` (one call) and `patience` (without any success)."""

    batch_size: int
    canary: int = 5
    concurrency: int = 4
    deadline: float = 30.0
    patience: float = 60.0
    rate: float | None = None
    """Calls a second; None: as fast as the answers come."""
    per_day: int | None = None
    """People in any 24 hours; None: no limit of ours."""
    doubt: Doubt = Doubt.AT_MOST_ONCE


class Gate:
    """One door for all workers (virtual scheduling, as in ATM's GCRA): each call takes the next free moment.

    `rate` is calls a second, None for no limit of ours. `opens` is the moment an earlier run was told to
    wait for; one that is further away than any provider can ask for was written by another clock (`--now`)
    and counts for nothing.
    """

    def __init__(self, rate: float | None, *, now: datetime, opens: datetime | None = None) -> None:
        self._rate = rate
        self._share = 1.0
        slowest = timedelta(seconds=SPARE / (rate * SLOWEST)) if rate else timedelta()
        heeded = opens is not None and opens - now <= FARTHEST + MOST_WAITING * slowest
        self._next = max(now, opens) if opens and heeded else now
        self._left: datetime | None = None
        self._lock = Lock()

    def reserve(self, now: datetime) -> datetime:
        """Take the next free moment: the caller's call may leave then."""
        with self._lock:
            mine = max(now, self._next)
            self._next = mine + self._step()
            return mine

    def leaves(self, now: datetime) -> datetime:
        """When a call whose turn has come may really leave: what it did since then (a commit) may have taken
        longer for the one before it, and two would arrive at once."""
        with self._lock:
            mine = max(now, self._left + min(self._step(), NUDGE)) if self._left else now
            self._left = mine = min(mine, now + NUDGE)
            return mine

    def told_to_wait(self, until: datetime) -> None:
        """The provider said "not before": nobody calls before, and all go more slowly for a while."""
        with self._lock:
            if until > self._next:
                self._next = until
            self._share = max(SLOWEST, self._share / 2)

    def accepted(self) -> None:
        """A call went through: go a little faster again, up to the full rate."""
        with self._lock:
            self._share = min(1.0, self._share * RECOVERY)

    @property
    def opens(self) -> datetime:
        """The next free moment."""
        with self._lock:
            return self._next

    def _step(self) -> timedelta:
        return timedelta(seconds=SPARE / (self._rate * self._share)) if self._rate else timedelta()
