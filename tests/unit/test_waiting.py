"""Requests that nobody answers: when one is brought to mind, and when it is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.subscriber import (
    ASK_EVERY,
    ASKS_AT_MOST,
    CONFIRM_LIFE,
    Standing,
    Subscriber,
    SubscriberState,
    confirmation,
    confirmed,
    may_ask,
    messages,
    requested,
)
from subscribers.waiting import REMIND_AFTER, Step, next_step

ASKED = datetime(2026, 11, 1, 9, tzinfo=UTC)
PERSON = Subscriber(
    id=1,
    address="lena@voorbeeld.example",
    address_key="lena@voorbeeld.example",
    name="",
    language="nl",
    state=SubscriberState.PENDING,
    confirm_round=1,
    asks=1,
    created_at=ASKED,
    asked_at=ASKED,
)
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("waited", "step"),
    [
        (timedelta(0), Step.WAIT),
        (REMIND_AFTER - MOMENT, Step.WAIT),
        (REMIND_AFTER, Step.REMIND),
        (CONFIRM_LIFE - MOMENT, Step.REMIND),
        (CONFIRM_LIFE, Step.FORGET),
        (timedelta(days=4000), Step.FORGET),
    ],
)
@pytest.mark.standard("G-03")
def test_one_reminder_after_three_days_and_the_end_after_fourteen(waited: timedelta, step: Step) -> None:
    assert next_step(PERSON, at=ASKED + waited) is step


def test_nobody_is_reminded_twice_or_beyond_the_messages_an_address_may_get() -> None:
    late = ASKED + REMIND_AFTER
    assert next_step(replace(PERSON, reminded_at=late), at=late + REMIND_AFTER) is Step.WAIT
    assert next_step(replace(PERSON, asks=ASKS_AT_MOST), at=late) is Step.WAIT
    assert next_step(replace(PERSON, asks=0, asked_at=None), at=late) is Step.WAIT, "never asked by us"


@pytest.mark.parametrize("state", sorted(set(SubscriberState) - {SubscriberState.PENDING}))
def test_only_who_is_pending_is_waited_for(state: SubscriberState) -> None:
    assert next_step(replace(PERSON, state=state), at=ASKED + 2 * CONFIRM_LIFE) is Step.WAIT


def test_what_is_forgotten_can_no_longer_be_confirmed() -> None:
    for waited in (CONFIRM_LIFE - MOMENT, CONFIRM_LIFE):
        at = ASKED + waited
        open_ = confirmation(PERSON, 1, at=at) is Standing.OPEN
        assert open_ is (next_step(PERSON, at=at) is not Step.FORGET)


def test_confirming_gives_a_later_request_its_own_reminder() -> None:
    reminded = replace(PERSON, reminded_at=ASKED + REMIND_AFTER)
    assert confirmed(reminded, at=ASKED + REMIND_AFTER).reminded_at is None


@pytest.mark.fault(124)
@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=60))
def test_at_most_one_message_a_day_and_three_in_all_whoever_types_and_whenever_we_look(
    doings: list[tuple[int, bool]],
) -> None:
    """Any mixture of sign-ups and looks, hours apart, within the life of a request."""
    person, at, sent = replace(PERSON, asks=0, asked_at=None), ASKED, []
    for hours, sign_up in doings:
        at += timedelta(hours=hours)
        if next_step(person, at=at) is Step.FORGET:
            break
        if sign_up:
            asked = requested(person, at=at)
            if asked != person:
                sent.append(at)
            person = asked
        elif next_step(person, at=at) is Step.REMIND:
            person = replace(person, reminded_at=at)
            sent.append(at)
    assert len(sent) <= ASKS_AT_MOST
    assert len(sent) == messages(person)
    assert all(later - earlier >= ASK_EVERY for earlier, later in pairwise(sent))
    assert may_ask(person, None, at=at + 2 * ASK_EVERY) is (len(sent) < ASKS_AT_MOST)
