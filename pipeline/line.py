"""Whose turn it is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import timedelta

from emails.message import unwritable
from pipeline.building import Builder
from pipeline.clock import Clock
from pipeline.pacing import Pace
from pipeline.patience import Patience
from pipeline.store.audience import People
from pipeline.store.ledger import Ledger

log = logging.getLogger("weekbrief.deliver")

READ_AHEAD = 1_000
"""People read from the database at a time."""
NO_ADDRESS = "not an address"
"""Why somebody is skipped to whom no message can be written."""


class Line:
    """The people of an edition whom nobody has claimed, a batch at a time. For one thread at a time.

    `skipped` is told how many were skipped.
    """

    def __init__(
        self,
        ledger: Ledger,
        builder: Builder,
        *,
        pace: Pace,
        clock: Clock,
        patience: Patience,
        skipped: Callable[[int], None],
    ) -> None:
        self._ledger = ledger
        self._builder = builder
        self._able = builder.esp.capabilities
        self._pace = pace
        self._patience = patience
        self._skipped = skipped
        self._cursor = 0
        self._ahead = People()
        self._size: int | None = None
        self._left_today = self._quota(clock)

    def next_batch(self, most: int | None = None) -> People:
        """As many as a call takes, and no more than `most`; nobody when all had their turn, or when the day's
        share is used up."""
        size = self._batch_size if most is None else min(most, self._batch_size)
        people = self._first(min(size, self._left_today))
        self._ahead = self._ahead[len(people) :]
        self._left_today -= len(people)
        return people

    def waits_for_tomorrow(self) -> bool:
        """The day's share is used up, and somebody is left."""
        return not self._left_today and bool(self._first(1))

    def _first(self, most: int) -> People:
        """Some are read ahead, so that small batches do not cost a query each; what became of them meanwhile
        shows when they are claimed."""
        while len(self._ahead) < most:
            found = self._ledger.pending(after=self._cursor, limit=max(most, READ_AHEAD))
            if not found:
                break
            self._cursor = found[-1].ordinal
            self._ahead += self._writable(found)
        return self._ahead[:most]

    def _writable(self, people: People) -> People:
        """`people` without those whose address no message can hold, who are skipped: only another program
        can have put such a one here, and it must not cost the others their letter."""
        ascii_only = self._able.eight_bit_local_part is False
        places = unwritable([address or "" for address in people.addresses], ascii_only=ascii_only)
        if not places:
            return people
        odd = People([people[place] for place in places])
        who = ", ".join(map(str, odd.ordinals))
        log.warning("no message can be written to the address of recipients %s: skipped", who)
        self._patience.when_free(lambda: self._ledger.leave_out(odd, reason=NO_ADDRESS))
        self._skipped(len(odd))
        return people.without(odd.ordinals)

    @property
    def _batch_size(self) -> int:
        """As many as the provider takes in one call, by count and by bytes."""
        if self._size is None:
            most = min(self._pace.batch_size, self._able.max_batch)
            room = 1 if most == 1 else self._builder.room(self._first(2), self._able.max_bytes)
            self._size = min(most, room)
        return self._size

    def _quota(self, clock: Clock) -> int:
        if self._pace.per_day is None:
            return sys.maxsize
        gone = self._ledger.handed_over_since(clock.now() - timedelta(days=1))
        return max(0, self._pace.per_day - gone)
