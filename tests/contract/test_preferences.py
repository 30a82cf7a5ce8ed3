"""Whose turn it is: pauses and frequencies when the audience is frozen, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from emails.events import Event, EventKind
from pipeline.store import Store, open_store, tables
from pipeline.store.editions import Edition
from pipeline.store.events import Report
from subscribers.subscriber import Frequency
from tests import builders
from tests.builders import NOW

WEEK = timedelta(weeks=1)
SUNDAYS = [date(2026, 11, 1) + n * WEEK for n in range(10)]


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    builders.subscribe(opened, 3)
    yield opened
    opened.close()


def prefer(store: Store, number: int, frequency: Frequency) -> None:
    assert store.preferences.prefer(number, frequency=frequency, language="nl")


def edition(store: Store, day: date) -> Edition:
    made = store.editions.create(
        builders.slot(day), builders.brief(), builders.mailing(), now=NOW, approved=True
    )
    assert made is not None
    return made


def send(store: Store, day: date, *, state: str = "accepted") -> set[int]:
    """Freeze and hand over that Sunday's letter; the numbers of those it goes to."""
    expected = store.editions.audience_size(builders.slot(day))
    made = edition(store, day)
    assert store.editions.freeze(made, provider="sandbox", now=NOW) == expected, "as a dry run said"
    mine = tables.delivery.c.edition_id == made.id
    with store.engine.begin() as connection:
        connection.execute(update(tables.delivery).where(mine).values(state=state))
        return set(connection.execute(select(tables.delivery.c.subscriber_id).where(mine)).scalars())


def weeks_of(store: Store, number: int, days: Sequence[date]) -> list[bool]:
    return [number in send(store, day) for day in days]


def test_every_second_letter_is_every_second_letter(store: Store) -> None:
    prefer(store, 2, Frequency.SECOND)
    assert weeks_of(store, 2, SUNDAYS[:6]) == [True, False, True, False, True, False]


def test_one_letter_a_month_is_the_first_of_the_month(store: Store) -> None:
    prefer(store, 2, Frequency.MONTH)
    assert weeks_of(store, 2, SUNDAYS) == [day.day <= 7 for day in SUNDAYS]


def test_who_wants_one_a_month_and_joins_in_the_middle_gets_the_next(store: Store) -> None:
    send(store, SUNDAYS[0])
    builders.subscribe(store, 1, prefix="late")
    prefer(store, 4, Frequency.MONTH)
    assert weeks_of(store, 4, SUNDAYS[1:5]) == [True, False, False, False]


def test_who_changes_to_one_a_month_has_had_this_months(store: Store) -> None:
    send(store, SUNDAYS[0])
    prefer(store, 2, Frequency.MONTH)
    assert weeks_of(store, 2, SUNDAYS[1:6]) == [False, False, False, False, True]


def test_the_others_get_every_letter(store: Store) -> None:
    prefer(store, 2, Frequency.SECOND)
    prefer(store, 3, Frequency.MONTH)
    assert all(1 in send(store, day) for day in SUNDAYS[:5])


def test_a_pause_ends_by_itself_at_its_moment(store: Store) -> None:
    due = datetime(2026, 11, 8, 7, tzinfo=UTC)
    store.preferences.pause(1, until=due + timedelta(microseconds=1))
    store.preferences.pause(2, until=due)
    assert send(store, date(2026, 11, 8)) == {2, 3}
    assert send(store, date(2026, 11, 15)) == {1, 2, 3}


def test_it_is_the_letters_own_time_that_counts_not_when_it_goes_out(store: Store) -> None:
    """An edition that a person let go two days late belongs to its Sunday."""
    store.preferences.pause(1, until=datetime(2026, 11, 9, tzinfo=UTC))
    made = edition(store, date(2026, 11, 8))
    assert store.editions.freeze(made, provider="sandbox", now=datetime(2026, 11, 10, tzinfo=UTC)) == 2


def test_a_pause_that_was_lifted_is_none(store: Store) -> None:
    store.preferences.pause(1, until=NOW + WEEK)
    store.preferences.pause(1, until=None)
    assert 1 in send(store, date(2026, 11, 29))


@pytest.mark.parametrize(
    ("state", "comes"),
    [
        ("accepted", False),
        ("submitted", False),
        ("unconfirmed", False),
        ("pending", False),
        ("refused", True),
        ("skipped", True),
    ],
)
@pytest.mark.parametrize("frequency", [Frequency.SECOND, Frequency.MONTH])
def test_only_a_letter_that_went_out_or_may_still_go_counts(
    store: Store, frequency: Frequency, state: str, comes: bool
) -> None:
    prefer(store, 2, frequency)
    send(store, SUNDAYS[1], state=state)
    assert (2 in send(store, SUNDAYS[2])) is comes


def test_an_edition_that_was_cancelled_counts_for_those_it_reached(store: Store) -> None:
    for number in (1, 2):
        prefer(store, number, Frequency.SECOND)
    made = edition(store, SUNDAYS[1])
    store.editions.freeze(made, provider="sandbox", now=NOW)
    with store.engine.begin() as connection:
        connection.execute(
            update(tables.delivery).where(tables.delivery.c.subscriber_id == 1).values(state="accepted")
        )
    assert store.editions.cancel(made, who="test", now=NOW)
    assert send(store, SUNDAYS[2]) == {2, 3}


def test_an_edition_that_was_never_frozen_does_not_count(store: Store) -> None:
    prefer(store, 2, Frequency.SECOND)
    assert 2 in send(store, SUNDAYS[0])
    edition(store, SUNDAYS[1])
    assert 2 not in send(store, SUNDAYS[2]), "the letter before was that of the first Sunday"
    assert 2 in send(store, SUNDAYS[3])


def test_a_wish_after_the_freeze_is_for_the_next_letter(store: Store) -> None:
    made = edition(store, SUNDAYS[0])
    assert store.editions.freeze(made, provider="sandbox", now=NOW) == 3
    store.preferences.pause(1, until=NOW + 9 * WEEK)
    assert store.editions.freeze(made, provider="sandbox", now=NOW) == 3
    assert send(store, SUNDAYS[1]) == {2, 3}


def test_who_comes_back_by_signing_up_begins_anew(store: Store) -> None:
    prefer(store, 2, Frequency.MONTH)
    store.preferences.pause(2, until=NOW + 9 * WEEK)
    store.subscribers.unsubscribe(2, at=NOW, how="page")
    assert not store.preferences.prefer(2, frequency=Frequency.SECOND, language="nl"), "has left"
    who = store.subscribers.by_id(2)
    assert who is not None
    asked = store.subscribers.request(
        builders.normalise(who.address), name="", language="nl", consent=builders.imported(NOW + WEEK)
    )
    assert asked is not None
    assert store.subscribers.confirm(2, at=NOW + WEEK, how="page")
    back = store.subscribers.by_id(2)
    assert back is not None
    assert (back.frequency, back.paused_until) == (Frequency.EVERY, None)


def test_a_wish_to_move_that_nobody_confirmed_is_forgotten(store: Store) -> None:
    old = store.preferences.ask_move(1, builders.normalise("old@example.org"), at=NOW - WEEK)
    new = store.preferences.ask_move(2, builders.normalise("new@example.org"), at=NOW)
    assert old is not None
    assert new is not None
    assert store.preferences.forget_changes(before=NOW - timedelta(days=3)) == 1
    assert [store.preferences.change(each.id).address for each in (old, new)] == ["", "new@example.org"]  # type: ignore[union-attr]


def test_what_an_earlier_mailbox_refused_says_nothing_about_the_new_one(store: Store) -> None:
    """Three letters in a row that were refused for now, over a fortnight, would stop a mailbox; two of them
    went to the address before."""
    for week, day in enumerate(SUNDAYS[1:3]):
        send(store, day)
        refuse(store, day, NOW + week * WEEK)
    change = store.preferences.ask_move(1, builders.normalise("new@example.org"), at=NOW + WEEK)
    assert change is not None
    assert store.preferences.move(change.id, at=NOW + WEEK, wording="Ja", page="")
    send(store, SUNDAYS[4])
    refuse(store, SUNDAYS[4], NOW + 3 * WEEK)
    assert store.subscribers.suppression("new@example.org") is None
    held = store.preferences.holdings(1)
    assert held is not None
    assert held.soft_bounces == 1


def refuse(store: Store, day: date, at: datetime) -> None:
    """The provider reports that the first reader's mailbox refused that letter for now."""
    mine = (tables.delivery.c.edition_id == tables.edition.c.id, tables.edition.c.day == day.isoformat())
    with store.engine.connect() as connection:
        delivery_id = connection.execute(
            select(tables.delivery.c.delivery_id).where(*mine, tables.delivery.c.subscriber_id == 1)
        ).scalar_one()
    event = Event(
        provider="resend",
        key=f"soft {day}",
        kind=EventKind.SOFT_BOUNCE,
        occurred_at=at,
        installation=store.installation.id,
        edition=day.isoformat(),
        delivery_id=delivery_id,
    )
    assert store.events.take([Report(event=event, received_at=at, signed=True)]).new == 1
