"""Reading what providers reported, and acting on it. Taking it in is another matter (`pipeline.web.hooks`): a
burst of calls is stored as fast as it comes, and read at a pace that leaves the database to the sender.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from emails.events import Call, Event, Malformed, reporter
from pipeline.store import Store
from pipeline.store.broken_text import BrokenText
from pipeline.store.engine import StorageError, StorageTrouble
from pipeline.store.events import Report, Taken
from pipeline.store.incoming import MAX_TRIES, Raw
from subscribers.reports import brake, left

if TYPE_CHECKING:
    from pipeline.store.counting import Counts
    from pipeline.store.editions import Edition
    from pipeline.week import Week

log = logging.getLogger("weekbrief.events")

CALLS = 200
"""Calls read at a time."""
REPORTS = 100
"""Reports acted on in one transaction: on SQLite all others wait while it lasts, 25 ms."""
CALM = 300
"""Calls a second up to which reading takes half of the time. Of a busier one it takes a quarter: what must be
answered now goes first, and the brake still hears of some hundred reports a second."""
LONGEST_REST = 3.0
"""Seconds."""
BETWEEN_LOOKS = 30.0
"""Seconds between two looks when nobody rings."""
WATCHED = 1.0
"""Seconds between two looks whether another process has stored a call, while an edition is on its way."""

LONGEST_END = 10.0
"""Seconds that the end of a run waits for who reads."""

Rest = Callable[[], None]
"""Gives others their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An edition that the brake stopped."""

    day: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What came of reading all calls that waited."""

    taken: Taken = field(default_factory=Taken)
    calls: int = 0
    unreadable: int = 0
    held: tuple[Held, ...] = ()

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            taken=self.taken + other.taken,
            calls=self.calls + other.calls,
            unreadable=self.unreadable + other.unreadable,
            held=(*self.held, *other.held),
        )


def digest(store: Store, *, stop: threading.Event | None = None) -> Digest:
    """Read every call that waits as this begins, so that it comes to an end under a flood as well. Safe to
    repeat, and beside another that does the same.

    A call that cannot be read stays and is tried at the next look, three times in all. The brake looks even
    where nothing is new: a death, or a database that failed, may have come between a report and its look.
    """
    stopping = stop or threading.Event()
    rest = _Pace(store, stopping).rest
    total, after, last = Digest(), 0, store.incoming.newest()
    while not stopping.is_set():
        calls = store.incoming.waiting(limit=CALLS, after=after, last=last)
        if not calls:
            break
        after = calls[-1].id
        total += _read_calls(store, calls, rest)
        rest()
    return total + Digest(held=_brakes(store))


def act(
    store: Store, reports: Sequence[Report], *, done: Sequence[int] = (), rest: Rest = lambda: None
) -> Digest:
    """Act on reports, a hundred to a transaction; the calls `done` are forgotten with the last. Between two,
    `rest` is called."""
    _leave(store, reports)
    taken = Taken()
    for start in range(0, len(reports), REPORTS):
        if start:
            rest()
        some = reports[start : start + REPORTS]
        last = start + REPORTS >= len(reports)
        taken += store.events.take(some, done=done if last else ())
    if not reports and done:
        store.incoming.done(done)
    held = tuple(found for edition_id in taken.struck if (found := _brake(store, edition_id)))
    return Digest(taken=taken, held=held)


class _Pace:
    """Rests as long as the work before took, so that others have their turn: a busy writer would keep SQLite
    to itself. Longer while many calls come in."""

    def __init__(
        self, store: Store, stop: threading.Event, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._stop = stop
        self._clock = clock
        self._woke = self._counted_at = clock()
        self._newest = store.incoming.newest()
        self._busy = False

    def rest(self) -> None:
        worked = self._clock() - self._woke
        self._stop.wait(min(worked * (3 if self._is_busy() else 1), LONGEST_REST))
        self._woke = self._clock()

    def _is_busy(self) -> bool:
        """Did more than `CALM` calls a second come in lately? Counted by their numbers, once a second."""
        passed = self._clock() - self._counted_at
        if passed >= 1:
            newest = self._store.incoming.newest()
            self._busy = newest - self._newest > CALM * passed
            self._newest, self._counted_at = newest, self._counted_at + passed
        return self._busy


@contextmanager
def reading(store: Store, *, bell: threading.Event, every: float = BETWEEN_LOOKS) -> Iterator[None]:
    """Read calls in a thread of its own for the block: when `bell` rings, and every so many seconds."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            bell.wait(every)
            bell.clear()
            _look(store, stop)

    thread = threading.Thread(target=work, name="reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        bell.set()
        _join(thread)


@contextmanager
def watching(store: Store, *, bell: threading.Event, every: float = WATCHED) -> Iterator[None]:
    """Ring `bell` for the block when a call is there that was not before, whichever process stored it."""
    stop = threading.Event()

    def work() -> None:
        seen = 0
        while not stop.is_set():
            newest = _newest(store)
            if newest > seen:
                bell.set()
            seen = max(seen, newest)
            stop.wait(every)

    thread = threading.Thread(target=work, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        _join(thread)


def _join(thread: threading.Thread) -> None:
    """It may wait for a row that another program keeps locked; the letter is out, and need not."""
    thread.join(LONGEST_END)
    if thread.is_alive():
        log.warning("the reader of reports did not end in time: the database kept it waiting")


@contextmanager
def heard(week: Week, *, bell: threading.Event | None = None) -> Iterator[Week]:
    """`week`, beside whose sending reports are read, so that the brake hears of them in time: from when its
    audience is there to the end of the block, and where nothing is sent no thread starts. `bell` wakes a
    reader that is there already."""
    ring = bell or threading.Event()
    with ExitStack() as stack:
        waiting = [] if bell else [reading(week.store, bell=ring)]
        waiting.append(watching(week.store, bell=ring))

        def frozen(edition: Edition, counts: Counts) -> None:
            while waiting:
                stack.enter_context(waiting.pop(0))
            week.frozen(edition, counts)

        yield replace(week, frozen=frozen)


def _newest(store: Store) -> int:
    try:
        return store.incoming.newest()
    except (StorageTrouble, SQLAlchemyError):
        return 0  # who reads and who sends will say so


def _look(store: Store, stop: threading.Event) -> None:
    try:
        digest(store, stop=stop)
    except StorageError as error:
        log.error("reports wait: %s", error)
    except StorageTrouble as trouble:
        log.warning("reports wait: %s", trouble)
    except Exception as error:
        # Its words may hold an address.
        kind = type(error).__qualname__
        log.error("reports could not be read (%s); the next look comes in half a minute", kind)


# Reading


def _read_calls(store: Store, calls: Sequence[Raw], rest: Rest) -> Digest:
    reports, done, unreadable = [], [], 0
    for call in calls:
        try:
            reports += _reports(call)
            done.append(call.id)
        except Exception as error:
            unreadable += 1
            _set_aside(store, call, error)
    read = Digest(calls=len(done), unreadable=unreadable)
    try:
        return read + act(store, reports, done=done, rest=rest)
    except (SQLAlchemyError, BrokenText) as error:
        if len(calls) == 1:
            _set_aside(store, calls[0], error)
            return Digest(unreadable=1)
        # One of them holds something that the database does not take: each by itself.
        alone = [_read_calls(store, [call], rest) for call in calls if call.id in done]
        return sum(alone, Digest(unreadable=unreadable))


def _reports(call: Raw) -> list[Report]:
    """What a call reports. Raises `Malformed`."""
    of = reporter(call.provider)
    if of is None:
        raise Malformed("reports of this provider are not understood")
    as_it_came = Call(body=call.body, headers=call.headers)
    if call.provider == "ses":
        _confirm(as_it_came)
    return [_report(event, call, signed=of.SIGNED) for event in of.read(as_it_came)]


def _report(event: Event, call: Raw, *, signed: bool) -> Report:
    return Report(event=event, received_at=call.received_at, signed=signed)


def _confirm(call: Call) -> None:
    """Confirm that the topic may report here, if that is what the call asks. It was signed for the operator's
    own topic, and the address is Amazon's. Raises `Forged` when Amazon does not answer."""
    from emails.events import ses  # with all that SES needs: only for who uses it

    if url := ses.confirmation(call):
        ses.fetch(url)
        log.warning("Amazon SNS was told that the topic of SES_TOPIC_ARN may report here")


def _set_aside(store: Store, call: Raw, error: Exception) -> None:
    """Keep a call that cannot be read. Of an error that is not ours only its kind is told: its words may hold
    an address."""
    why = str(error) if isinstance(error, (Malformed, BrokenText)) else type(error).__name__
    tries = store.incoming.failed(call, why)
    rest = "it is kept" if tries >= MAX_TRIES else "it is tried again"
    log.error("a report of %s (number %d) cannot be read: %s; %s", call.provider, call.id, why, rest)


# Acting


def _leave(store: Store, reports: Sequence[Report]) -> None:
    """Who left by the provider's own link has left here, too. Before the report itself is noted: a death
    between the two only repeats it. Who asked for the letter again since then stays."""
    gone = [report for report in reports if left(report.event)]
    for start in range(0, len(gone), REPORTS):
        for report, subscriber_id in store.events.about(gone[start : start + REPORTS]):
            at = min(
                report.event.occurred_at or report.received_at, report.received_at + timedelta(minutes=5)
            )
            person = store.subscribers.by_id(subscriber_id)
            if person is not None and not (person.confirmed_at and at < person.confirmed_at):
                store.subscribers.unsubscribe(subscriber_id, at=at, how=report.event.provider)


def _brakes(store: Store) -> tuple[Held, ...]:
    return tuple(held for number in store.events.being_sent() if (held := _brake(store, number)))


def _brake(store: Store, edition_id: int) -> Held | None:
    """Stop an edition that too many complain about or that bounces too often."""
    found = store.events.strikes(edition_id)
    if found is None:
        return None
    reason = brake(accepted=found.accepted, complaints=found.complaints, bounces=found.bounces)
    if reason is None or not store.events.stop(edition_id, reason=reason):
        return None
    log.error("edition %s is held: %s. Go on with: weekbrief resume %s", found.day, reason, found.day)
    return Held(day=found.day, reason=reason)
