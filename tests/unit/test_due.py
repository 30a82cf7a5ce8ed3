"""Slots and what is due: time zones, clock changes, downtime, wrong clocks, changed schedules."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.due import (
    MAX_ABSENCE,
    Day,
    Due,
    Every,
    NoSuchSlot,
    NotATime,
    Schedule,
    Slot,
    decide,
    find_slot,
    moment,
    next_slots,
    parse_now,
    slots,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
ROME = ZoneInfo("Europe/Rome")
SUNDAYS = Schedule(on=Day.SUNDAY, at=time(8), zone=AMSTERDAM)


INSTANTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2035, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(schedule: Schedule, hour: str) -> Schedule:
    return replace(schedule, at=time.fromisoformat(hour))


def days_of(found: list[Slot] | tuple[Slot, ...]) -> list[str]:
    return [slot.day.isoformat() for slot in found]


# --- one slot ---


def test_a_slot_carries_its_key_its_week_and_its_instant():
    assert next_slots(SUNDAYS, utc("2026-11-24T12:00"), 1) == [
        Slot(
            schedule="weekly",
            key="weekly:2026-11-29",
            day=day("2026-11-29"),
            due_at=utc("2026-11-29T07:00"),
            week="2026-W48",
        )
    ]


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        # a clock goes forward: the hour is missing, so the first moment after the gap
        pytest.param("Europe/Rome", "2026-03-29 02:30", "2026-03-29 01:00", marks=pytest.mark.fault(109)),
        pytest.param(
            "Europe/Amsterdam", "2027-03-28 02:30", "2027-03-28 01:00", marks=pytest.mark.fault(109)
        ),
        pytest.param(
            "Europe/Amsterdam", "2027-03-28 02:00", "2027-03-28 01:00", marks=pytest.mark.fault(109)
        ),
        pytest.param(
            "America/New_York", "2027-03-14 02:30", "2027-03-14 07:00", marks=pytest.mark.fault(109)
        ),
        pytest.param(
            "Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30", marks=pytest.mark.fault(109)
        ),
        pytest.param(
            "Africa/Casablanca", "2026-03-22 02:30", "2026-03-22 02:00", marks=pytest.mark.fault(109)
        ),
        pytest.param("Pacific/Apia", "2011-12-30 08:00", "2011-12-30 10:00", marks=pytest.mark.fault(109)),
        # a clock goes back: the hour comes twice, so the first of the two
        pytest.param("Europe/Rome", "2026-10-25 02:30", "2026-10-25 00:30", marks=pytest.mark.fault(110)),
        pytest.param(
            "Europe/Amsterdam", "2026-10-25 02:30", "2026-10-25 00:30", marks=pytest.mark.fault(110)
        ),
        pytest.param(
            "America/New_York", "2026-11-01 01:30", "2026-11-01 05:30", marks=pytest.mark.fault(110)
        ),
        pytest.param(
            "Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45", marks=pytest.mark.fault(110)
        ),
        pytest.param(
            "Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30", marks=pytest.mark.fault(110)
        ),
        # quarter hours and no changes at all
        ("Asia/Kathmandu", "2026-03-29 02:30", "2026-03-28 20:45"),
        ("Europe/Amsterdam", "2027-03-28 03:00", "2027-03-28 01:00"),
        ("Europe/Amsterdam", "2026-10-25 03:00", "2026-10-25 02:00"),
        ("Europe/Amsterdam", "2026-10-25 01:59", "2026-10-24 23:59"),
    ],
)
def test_a_wall_clock_becomes_one_instant(zone: str, local: str, expected: str):
    wall = datetime.fromisoformat(local)
    assert moment(wall.date(), wall.time(), ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    ("on", "hour", "expected"),
    [
        (Day.SUNDAY, "02:30", ["2026-10-18T00:30", "2026-10-25T00:30", "2026-11-01T01:30"]),
        (Day.SUNDAY, "03:00", ["2026-10-18T01:00", "2026-10-25T02:00", "2026-11-01T02:00"]),
        (Day.MONDAY, "08:00", ["2026-10-19T06:00", "2026-10-26T07:00", "2026-11-02T07:00"]),
    ],
)
@pytest.mark.fault(110)
def test_autumn_gives_each_week_one_slot(on: Day, hour: str, expected: list[str]):
    found = slots(at(replace(SUNDAYS, on=on), hour), utc("2026-10-17T12:00"), utc("2026-11-03T12:00"))
    assert [slot.due_at for slot in found] == [utc(text) for text in expected]


@pytest.mark.parametrize(
    ("on", "hour", "expected"),
    [
        (Day.SUNDAY, "02:30", ["2027-03-21T01:30", "2027-03-28T01:00", "2027-04-04T00:30"]),
        (Day.SUNDAY, "03:00", ["2027-03-21T02:00", "2027-03-28T01:00", "2027-04-04T01:00"]),
        (Day.MONDAY, "08:00", ["2027-03-22T07:00", "2027-03-29T06:00", "2027-04-05T06:00"]),
    ],
)
@pytest.mark.fault(109)
def test_spring_gives_each_week_one_slot(on: Day, hour: str, expected: list[str]):
    found = slots(at(replace(SUNDAYS, on=on), hour), utc("2027-03-20T12:00"), utc("2027-04-06T12:00"))
    assert [slot.due_at for slot in found] == [utc(text) for text in expected]


@pytest.mark.parametrize(
    "zone", ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
)
@given(
    start=INSTANTS,
    hour=st.times(),
    on=st.sampled_from(Day),
)
@settings(max_examples=60, deadline=None)
def test_every_week_of_every_zone_has_one_slot_and_ticks_never_see_it_twice(
    zone: str, start: datetime, hour: time, on: Day
):
    schedule = Schedule(on=on, at=hour.replace(second=0, microsecond=0), zone=ZoneInfo(zone))
    end = start + timedelta(weeks=10)
    whole = slots(schedule, start, end)
    ticks = [start + timedelta(hours=13 * n) for n in range(200) if start + timedelta(hours=13 * n) < end]
    pieces = [s for a, b in zip(ticks, [*ticks[1:], end], strict=True) for s in slots(schedule, a, b)]
    assert pieces == whole
    assert len({slot.key for slot in whole}) == len(whole) and 9 <= len(whole) <= 11
    assert all((b.day - a.day).days == 7 for a, b in pairwise(whole))
    assert [s.due_at for s in whole] == sorted(s.due_at for s in whole)


def test_slots_include_their_end_and_not_their_start():
    first, second = utc("2026-11-22T07:00"), utc("2026-11-29T07:00")
    assert days_of(slots(SUNDAYS, first, second)) == ["2026-11-29"]


def test_an_instant_without_a_zone_is_refused():
    naive = utc("2026-11-29T08:00").replace(tzinfo=None)
    with pytest.raises(ValueError, match="no time zone"):
        decide(SUNDAYS, last_examined=None, now=naive)
    with pytest.raises(ValueError, match="no time zone"):
        slots(SUNDAYS, naive, utc("2026-11-29T07:00"))


# --- rhythms ---


def test_every_two_weeks_keeps_its_beat_over_a_year_of_53_weeks():
    found = next_slots(replace(SUNDAYS, every=Every.TWO_WEEKS), utc("2026-12-01T00:00"), 4)
    assert days_of(found) == ["2026-12-06", "2026-12-20", "2027-01-03", "2027-01-17"]
    assert [slot.week for slot in found] == ["2026-W49", "2026-W51", "2026-W53", "2027-W02"]


def test_every_two_weeks_counts_from_the_date_it_starts():
    odd = replace(SUNDAYS, every=Every.TWO_WEEKS, starting=day("2026-12-09"))
    assert days_of(next_slots(odd, utc("2026-11-01T00:00"), 3)) == ["2026-12-13", "2026-12-27", "2027-01-10"]


@given(day=st.dates(date(2020, 1, 1), date(2040, 1, 1)), on=st.sampled_from(Day))
@settings(max_examples=100, deadline=None)
def test_every_two_weeks_never_depends_on_when_one_looks(day: date, on: Day):
    schedule = Schedule(every=Every.TWO_WEEKS, on=on, at=time(8), zone=UTC)
    seen = next_slots(schedule, datetime.combine(day, time(), UTC), 1)[0].day
    anchor = date(2024, 1, 1) + timedelta(days=on.number)
    assert (seen - anchor).days % 14 == 0 and 0 <= (seen - day).days < 15


def test_every_month_goes_on_the_first_such_day():
    found = next_slots(replace(SUNDAYS, every=Every.MONTH), utc("2026-11-24T00:00"), 4)
    assert days_of(found) == ["2026-12-06", "2027-01-03", "2027-02-07", "2027-03-07"]


def test_no_letter_goes_before_the_start():
    later = replace(SUNDAYS, starting=day("2026-12-10"))
    assert days_of(next_slots(later, utc("2026-11-24T00:00"), 2)) == ["2026-12-13", "2026-12-20"]
    assert decide(later, last_examined=None, now=utc("2026-11-29T07:30")) == Due()


@pytest.mark.parametrize("n", [-1, 521])
def test_a_plan_has_an_end(n: int):
    with pytest.raises(ValueError, match="0 to 520"):
        next_slots(SUNDAYS, utc("2026-11-24T00:00"), n)


def test_a_plan_may_be_empty_and_ten_years_long():
    assert next_slots(SUNDAYS, utc("2026-11-24T00:00"), 0) == []
    assert days_of(next_slots(SUNDAYS, utc("2026-11-24T00:00"), 520))[-1] == "2036-11-09"


# --- what is due ---


def test_the_slot_is_due_from_its_minute_on_until_it_is_too_late():
    def due(now: str) -> str | None:
        slot = decide(SUNDAYS, last_examined=None, now=utc(now)).slot
        return slot.key if slot else None

    assert due("2026-11-29T06:59:59") is None
    assert due("2026-11-29T07:00") == "weekly:2026-11-29"
    assert due("2026-11-30T06:59:59") == "weekly:2026-11-29"
    assert due("2026-11-30T07:00") is None


def test_a_first_run_looks_back_no_further_than_the_lateness():
    assert decide(SUNDAYS, last_examined=None, now=utc("2026-11-28T12:00")) == Due()


@pytest.mark.fault(112)
def test_five_slots_missed_while_off_give_one_catch_up_and_four_missed():
    result = decide(SUNDAYS, last_examined=utc("2026-10-26T00:00"), now=utc("2026-11-29T20:00"))
    assert result.slot is not None and result.slot.day == day("2026-11-29")
    assert days_of(result.missed) == ["2026-11-01", "2026-11-08", "2026-11-15", "2026-11-22"]
    assert result.hold is None


@pytest.mark.fault(112)
def test_nothing_is_caught_up_when_the_newest_is_too_late_as_well():
    result = decide(SUNDAYS, last_examined=utc("2026-11-20T00:00"), now=utc("2026-12-02T00:00"))
    assert result.slot is None
    assert days_of(result.missed) == ["2026-11-22", "2026-11-29"]


@pytest.mark.fault(112)
def test_a_long_lateness_still_sends_the_newest_alone():
    patient = replace(SUNDAYS, max_lateness=timedelta(days=30))
    result = decide(patient, last_examined=utc("2026-11-10T00:00"), now=utc("2026-11-30T00:00"))
    assert result.slot is not None and result.slot.day == day("2026-11-29")
    assert days_of(result.missed) == ["2026-11-15", "2026-11-22"]


@pytest.mark.fault(113)
def test_a_laptop_that_slept_through_the_slot_sends_on_waking():
    result = decide(SUNDAYS, last_examined=utc("2026-11-29T06:58"), now=utc("2026-11-29T19:12"))
    assert result.slot is not None and result.slot.key == "weekly:2026-11-29"


@pytest.mark.fault(114)
@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=365)])
def test_a_clock_set_back_holds(back: timedelta):
    last = utc("2026-11-29T07:30")
    result = decide(SUNDAYS, last_examined=last, now=last - back, newest_taken=day("2026-11-29"))
    assert result.slot is None and result.missed == ()
    assert "gone back" in (result.hold or "")


@pytest.mark.fault(114)
def test_a_time_server_may_correct_the_clock_by_a_little():
    last = utc("2026-11-29T07:01")
    result = decide(SUNDAYS, last_examined=last, now=last - timedelta(minutes=3))
    assert result == Due()


@pytest.mark.fault(115)
def test_a_clock_ten_years_ahead_holds_and_counts_nothing():
    tracemalloc.start()
    result = decide(SUNDAYS, last_examined=utc("2026-11-29T07:30"), now=utc("2036-11-29T07:30"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.slot is None and result.missed == ()
    assert "3653 days" in (result.hold or "") and "weekbrief release --confirm" in (result.hold or "")
    assert peak < 100_000


@pytest.mark.fault(115)
@pytest.mark.parametrize("year", [1970, 9999])
def test_a_clock_outside_our_time_holds_even_on_the_first_run(year: int):
    result = decide(SUNDAYS, last_examined=None, now=datetime(year, 12, 31, 12, tzinfo=UTC))
    assert result.slot is None and str(year) in (result.hold or "")


@pytest.mark.fault(115)
def test_slots_over_a_decade_are_refused_rather_than_listed():
    with pytest.raises(ValueError, match="too long"):
        slots(SUNDAYS, utc("2026-11-29T00:00"), utc("2036-11-29T00:00"))


def test_the_longest_absence_that_is_believed_gives_a_year_of_missed_slots():
    now = utc("2026-11-29T07:30")
    result = decide(SUNDAYS, last_examined=now - MAX_ABSENCE, now=now)
    assert result.hold is None and len(result.missed) == 52


# --- a schedule that changes between two ticks ---


@pytest.mark.fault(116)
@pytest.mark.parametrize("new_hour", ["06:00", "09:00", "20:00"])
def test_another_hour_after_sending_takes_the_date_no_second_time(new_hour: str):
    sent = decide(SUNDAYS, last_examined=None, now=utc("2026-11-29T07:00")).slot
    assert sent is not None
    moved = at(SUNDAYS, new_hour)
    for hours in range(1, 40):
        now = sent.due_at + timedelta(hours=hours)
        known = decide(moved, last_examined=now - timedelta(hours=1), now=now, newest_taken=sent.day)
        alone = decide(moved, last_examined=now - timedelta(hours=1), now=now)
        assert known == Due()
        assert alone.slot is None or alone.slot.key == sent.key


@pytest.mark.fault(116)
def test_an_earlier_hour_set_after_it_has_passed_still_sends_that_day():
    late = at(SUNDAYS, "12:00")
    assert decide(late, last_examined=None, now=utc("2026-11-29T09:00")) == Due()
    result = decide(SUNDAYS, last_examined=utc("2026-11-29T09:00"), now=utc("2026-11-29T09:01"))
    assert result.slot is not None and result.slot.key == "weekly:2026-11-29"


@pytest.mark.fault(116)
def test_an_earlier_weekday_set_after_sending_does_not_send_for_the_past():
    patient = replace(SUNDAYS, on=Day.SATURDAY, max_lateness=timedelta(days=3))
    result = decide(
        patient,
        last_examined=utc("2026-11-29T07:01"),
        now=utc("2026-11-29T07:02"),
        newest_taken=day("2026-11-29"),
    )
    assert result == Due()


@pytest.mark.fault(116)
def test_a_later_weekday_is_the_next_slot():
    mondays = replace(SUNDAYS, on=Day.MONDAY)
    result = decide(
        mondays,
        last_examined=utc("2026-11-29T07:02"),
        now=utc("2026-11-30T07:00"),
        newest_taken=day("2026-11-29"),
    )
    assert result.slot is not None and result.slot.key == "weekly:2026-11-30"


@pytest.mark.fault(116)
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"])
def test_another_zone_takes_the_date_no_second_time(zone: str):
    moved = replace(SUNDAYS, zone=ZoneInfo(zone))
    for hours in range(1, 48):
        now = utc("2026-11-29T07:00") + timedelta(hours=hours)
        alone = decide(moved, last_examined=now - timedelta(hours=1), now=now)
        assert alone.slot is None or alone.slot.key == "weekly:2026-11-29"
        assert decide(moved, last_examined=now, now=now, newest_taken=day("2026-11-29")) == Due()


@pytest.mark.fault(116)
def test_another_rhythm_keeps_the_key_of_the_date():
    keys = {
        find_slot(replace(SUNDAYS, every=every, starting=start), "2026-12-06").key
        for every, start in [(Every.WEEK, None), (Every.TWO_WEEKS, day("2026-12-06")), (Every.MONTH, None)]
    }
    assert keys == {"weekly:2026-12-06"}


@pytest.mark.fault(111)
def test_new_zone_rules_move_the_instant_and_not_the_key():
    tables = files("tzdata") / "zoneinfo" / "Africa" / "Johannesburg"
    with tables.open("rb") as stream:
        without_summer_time = ZoneInfo.from_file(stream, key="Europe/Amsterdam")
    sent = find_slot(SUNDAYS, "2026-07-05")
    after_the_law = find_slot(at(replace(SUNDAYS, zone=without_summer_time), "09:00"), "2026-07-05")
    assert after_the_law.due_at != sent.due_at and after_the_law.key == sent.key
    again = decide(
        at(replace(SUNDAYS, zone=without_summer_time), "09:00"),
        last_examined=sent.due_at,
        now=after_the_law.due_at,
        newest_taken=sent.day,
    )
    assert again == Due()


# --- naming a slot, naming a time ---


@pytest.mark.parametrize("text", ["2026-11-29", "2026-W48", "2026w48", " 2026-W48 "])
def test_a_slot_is_found_by_date_and_by_week(text: str):
    assert find_slot(SUNDAYS, text).key == "weekly:2026-11-29"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-28", ["saturday", "2026-11-22 (2026-W47) and 2026-11-29 (2026-W48)"]),
        ("2025-W53", ["'2025-W53'"]),
        ("2026-02-30", ["'2026-02-30'"]),
        ("next week", ["2026-W48"]),
        ("9999-12-31", ["2000 to 2199"]),
        ("", ["2026-W48"]),
    ],
)
def test_a_slot_that_is_none_is_explained(text: str, words: list[str]):
    with pytest.raises(NoSuchSlot) as caught:
        find_slot(SUNDAYS, text)
    assert all(word in str(caught.value) for word in words)


def test_a_week_between_two_letters_names_its_neighbours():
    with pytest.raises(NoSuchSlot, match=r"2026-12-06 \(2026-W49\) and 2026-12-20 \(2026-W51\)"):
        find_slot(replace(SUNDAYS, every=Every.TWO_WEEKS), "2026-W50")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T08:00", "2026-11-29T07:00"),
        ("2026-11-29 08:00:30", "2026-11-29T07:00:30"),
        ("2026-11-29", "2026-11-28T23:00"),
        ("2026-11-29T08:00Z", "2026-11-29T08:00"),
        ("2026-11-29T08:00+05:45", "2026-11-29T02:15"),
        ("2026-10-25T02:30", "2026-10-25T00:30"),
        ("2027-03-28T02:30", "2027-03-28T01:00"),
    ],
)
def test_now_is_read_in_the_schedules_zone(text: str, expected: str):
    assert parse_now(text, AMSTERDAM) == utc(expected)


@pytest.mark.parametrize(
    "text", ["", "sunday", "2026-13-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"]
)
def test_a_now_that_is_none_is_explained(text: str):
    with pytest.raises(NotATime, match="is not"):
        parse_now(text, AMSTERDAM)


@given(text=st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_time_or_a_complaint(text: str):
    try:
        assert parse_now(text, ROME).utcoffset() == timedelta(0)
    except NotATime as error:
        assert "is not" in str(error)
