"""When a letter goes: slots by local date, and what is due now. Pure; the caller brings the clock.

A slot is one date on which a letter goes. Its key is the schedule's name and the local date, so a date is
taken at most once, whatever happens to the hour, the zone or the rhythm in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import islice, takewhile

MAX_ABSENCE = timedelta(days=366)
"""A longer time since the last look is a wrong clock until a person says otherwise."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock may go back before nothing is sent: time servers correct by less than this."""
MAX_SLOTS = 520
"""Ten years of weeks: nobody plans further, and no wrong clock makes us count further."""

_YEARS = range(2000, 2200)
_FORTNIGHT_ANCHOR = date(2024, 1, 1)
"""A Monday. Week numbers cannot carry a fortnight: after a year of 53 weeks two odd ones meet."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_WEEK = re.compile(r"(\d{4})-?[Ww](\d\d?)\Z", re.ASCII)


class Every(StrEnum):
    WEEK = "week"
    TWO_WEEKS = "2 weeks"
    MONTH = "month"


class Day(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """0 for Monday, as `date.weekday()` counts."""
        return list(Day).index(self)


class NotATime(ValueError):
    """A text that is not a point in time. The message is for people."""


class NoSuchSlot(ValueError):
    """No letter goes on that date or in that week. The message names the nearest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rhythm: every week, two weeks or month (its first such day), on a day, at an hour, in a zone."""

    every: Every = Every.WEEK
    on: Day
    at: time
    """Wall clock, without a zone of its own."""
    zone: tzinfo
    max_lateness: timedelta = timedelta(hours=24)
    """How late a letter may still leave by itself."""
    starting: date | None = None
    """No letter goes before this date. For `2 weeks` the first one after it sets the rhythm; without it
    letters go an even number of weeks after Monday 2024-01-01."""
    name: str = "weekly"
    """Who the schedule is, not how it beats: it stays when `every` changes, so that a date which was
    taken under the old rhythm is not taken again under the new one."""

    def __str__(self) -> str:
        return f"every {self.every} on {self.on} at {self.at:%H:%M} ({self.zone})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One date on which a letter goes."""

    schedule: str
    key: str
    """`weekly:2026-11-29`; unique in the store, and inserting it elects the one sender."""
    day: date
    """Local date in the schedule's zone."""
    due_at: datetime
    """UTC."""
    week: str
    """ISO week of `day`, `2026-W48`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a look at the clock gives. With `hold` there is neither slot nor missed ones."""

    slot: Slot | None = None
    missed: tuple[Slot, ...] = ()
    """Oldest first: never sent by themselves, to be recorded and reported."""
    hold: str | None = None
    """Why nothing may be sent by this clock, in plain words with the mend."""


def decide(
    schedule: Schedule,
    *,
    last_examined: datetime | None,
    now: datetime,
    newest_taken: date | None = None,
) -> Due:
    """What is due at `now` (`docs/design.md`, "The clock"): the newest slot that is at most `max_lateness`
    late; older ones since `last_examined` are missed.

    `last_examined` is the instant of the last look (None: never; then nothing older than `max_lateness`
    counts), `newest_taken` the newest local date that a slot was taken or missed on. With `newest_taken`
    slots go forward only: moving the schedule from Sunday to Saturday on a Sunday does not make the day
    before due. Without it a slot stays due until it is too late, also when it was taken: the store's unique
    row then says "already".

    A clock that went back, or on by more than `MAX_ABSENCE`, gives a hold and no slots. Both datetimes must
    have a zone (ValueError).
    """
    _need_zone(now, last_examined)
    if hold := _implausible(now, last_examined):
        return Due(hold=hold)
    oldest_sendable = now - schedule.max_lateness
    start = min(oldest_sendable, last_examined or oldest_sendable)
    waiting = [s for s in slots(schedule, start, now) if newest_taken is None or s.day > newest_taken]
    due = waiting.pop() if waiting and waiting[-1].due_at > oldest_sendable else None
    missed = (s for s in waiting if last_examined is None or s.due_at > last_examined)
    return Due(slot=due, missed=tuple(missed))


def slots(schedule: Schedule, start: datetime, end: datetime) -> list[Slot]:
    """The slots with `start < due_at <= end`, oldest first.

    Raises ValueError for a span of more than about two years: that is a wrong clock, not a catch-up.
    """
    _need_zone(start, end)
    if end - start > 2 * MAX_ABSENCE:
        raise ValueError(f"{start:%Y-%m-%d} to {end:%Y-%m-%d} is too long a time to count slots in")
    first = start.astimezone(schedule.zone).date() - timedelta(days=1)
    upcoming = (_slot(schedule, day) for day in _days(schedule, first))
    return [s for s in takewhile(lambda s: s.due_at <= end, upcoming) if s.due_at > start]


def next_slots(schedule: Schedule, now: datetime, n: int) -> list[Slot]:
    """The next `n` slots after `now`, soonest first. Raises ValueError unless n is 0 to `MAX_SLOTS`."""
    _need_zone(now)
    if not 0 <= n <= MAX_SLOTS:
        raise ValueError(f"the number of weeks must be 0 to {MAX_SLOTS}, not {n}")
    if reason := _implausible(now, None):
        raise ValueError(reason)
    first = now.astimezone(schedule.zone).date() - timedelta(days=1)
    upcoming = (_slot(schedule, day) for day in _days(schedule, first))
    return list(islice((s for s in upcoming if s.due_at > now), n))


def find_slot(schedule: Schedule, text: str) -> Slot:
    """The slot of a local date `2026-11-29` or an ISO week `2026-W48`.

    It knows the schedule as it is now: look for an existing edition in the store first. Raises `NoSuchSlot`.
    """
    wanted = _date_or_week(text.strip(), schedule)
    if next(_days(schedule, wanted)) != wanted:
        raise NoSuchSlot(
            f"no letter goes on {wanted} ({_weekday(wanted)}); they go {schedule}, "
            f"the nearest on {_nearest(schedule, wanted)}"
        )
    return _slot(schedule, wanted)


def parse_now(text: str, zone: tzinfo) -> datetime:
    """A point in time as UTC. Without an offset it is the wall clock of `zone`, by the rules of `moment`.

    Raises `NotATime` for anything that is not ISO 8601, or outside the years 2000 to 2199.
    """
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise NotATime(
            f"{text!r} is not a time: write 2026-11-29T08:00 (as the clock shows it in {zone}) "
            "or 2026-11-29T07:00Z"
        ) from None
    if given.year not in _YEARS:
        raise NotATime(f"{text!r} is not in the years {_YEARS[0]} to {_YEARS[-1]}")
    return moment(given.date(), given.time(), zone) if given.tzinfo is None else given.astimezone(UTC)


def moment(day: date, at: time, zone: tzinfo) -> datetime:
    """The instant (UTC) when the clocks of `zone` show `at` on `day`.

    An hour that happens twice: its first occurrence. An hour that does not happen: the first moment after
    the gap (`docs/design.md`, "The clock").
    """
    local = datetime.combine(day, at.replace(fold=0))
    earlier_offset = local.replace(tzinfo=zone).astimezone(UTC)
    if earlier_offset.astimezone(zone).replace(tzinfo=None) == local:
        return earlier_offset
    return _end_of_gap(local.replace(tzinfo=zone, fold=1).astimezone(UTC), earlier_offset, zone)


def _end_of_gap(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first whole second in (before, after] that has the offset of `after`. Halves the span each time."""
    low, high = 0, int((after - before).total_seconds())
    old_offset = before.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == old_offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _slot(schedule: Schedule, day: date) -> Slot:
    year, week, _ = day.isocalendar()
    return Slot(
        schedule=schedule.name,
        key=f"{schedule.name}:{day.isoformat()}",
        day=day,
        due_at=moment(day, schedule.at, schedule.zone),
        week=f"{year:04d}-W{week:02d}",
    )


def _days(schedule: Schedule, first: date) -> Iterator[date]:
    """The local dates of letters from `first` on, without end."""
    first = max(first, schedule.starting or first)
    if schedule.every is Every.MONTH:
        return _first_of_months(schedule.on, first)
    if schedule.every is Every.TWO_WEEKS:
        return _steps(_fortnightly(schedule, first), 14)
    return _steps(_on_or_after(first, schedule.on), 7)


def _steps(day: date, days: int) -> Iterator[date]:
    while True:
        yield day
        day += timedelta(days=days)


def _fortnightly(schedule: Schedule, first: date) -> date:
    anchor = _on_or_after(schedule.starting or _FORTNIGHT_ANCHOR, schedule.on)
    day = _on_or_after(first, schedule.on)
    return day + timedelta(days=(day - anchor).days % 14)


def _first_of_months(on: Day, first: date) -> Iterator[date]:
    month = first.replace(day=1)
    while True:
        day = _on_or_after(month, on)
        if day >= first:
            yield day
        month = (month + timedelta(days=31)).replace(day=1)


def _on_or_after(day: date, on: Day) -> date:
    return day + timedelta(days=(on.number - day.weekday()) % 7)


def _date_or_week(text: str, schedule: Schedule) -> date:
    try:
        if week := _WEEK.match(text):
            day = date.fromisocalendar(int(week[1]), int(week[2]), schedule.on.number + 1)
        elif _DATE.match(text):
            day = date.fromisoformat(text)
        else:
            raise ValueError
    except ValueError:
        raise NoSuchSlot(f"{text!r} is no date such as 2026-11-29 and no week such as 2026-W48") from None
    if day.year not in _YEARS:
        raise NoSuchSlot(f"{text!r} is not in the years {_YEARS[0]} to {_YEARS[-1]}")
    return day


def _nearest(schedule: Schedule, day: date) -> str:
    before = list(takewhile(lambda d: d < day, _days(schedule, day - timedelta(days=40))))[-1:]
    near = [*before, next(_days(schedule, day))]
    return " and ".join(f"{d} ({_slot(schedule, d).week})" for d in near)


def _weekday(day: date) -> str:
    return list(Day)[day.weekday()].value


def _need_zone(*moments: datetime | None) -> None:
    for given in moments:
        if given is not None and given.utcoffset() is None:
            raise ValueError(f"{given} has no time zone")


def _implausible(now: datetime, last_examined: datetime | None) -> str | None:
    if now.year not in _YEARS:
        return f"the clock says {now:%Y-%m-%d}: set it right, nothing is sent until then"
    if last_examined is None:
        return None
    seen = f"the clock says {now:%Y-%m-%d %H:%M}Z, but the last look was at {last_examined:%Y-%m-%d %H:%M}Z"
    if now < last_examined - CLOCK_TOLERANCE:
        return f"{seen}: it has gone back. Set it right; nothing is sent until it has caught up"
    if now - last_examined > MAX_ABSENCE:
        days = (now - last_examined).days
        return f"{seen}, {days} days before. Set it right; if it is right, run: weekbrief release --confirm"
    return None
