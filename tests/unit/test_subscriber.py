"""The states of a subscriber, and the moves between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from subscribers.consent import ConsentKind
from subscribers.subscriber import (
    ASK_EVERY,
    CONFIRM_LIFE,
    UNDO_LIFE,
    Standing,
    Subscriber,
    SubscriberState,
    confirmation,
    confirmed,
    may_ask,
    may_undo,
    requested,
    resubscribed,
    unsubscribed,
)
from subscribers.suppression import SuppressionReason

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

new = Subscriber(
    id=1,
    address="lena@voorbeeld.example",
    address_key="lena@voorbeeld.example",
    name="Lena",
    language="nl",
    state=SubscriberState.PENDING,
    created_at=NOW,
)
pending = requested(new, at=NOW)
active = confirmed(pending, at=NOW)
left = unsubscribed(active, at=NOW)


def test_a_request_makes_pending_a_confirmation_active_and_leaving_unsubscribed() -> None:
    assert pending.state is SubscriberState.PENDING
    assert (pending.confirm_round, pending.asks, pending.asked_at) == (1, 1, NOW)
    assert (active.state, active.asks, active.confirmed_at) == (SubscriberState.ACTIVE, 0, NOW)
    assert (left.state, left.unsubscribed_at) == (SubscriberState.UNSUBSCRIBED, NOW)


@pytest.mark.parametrize("someone", [new, pending, active, left])
def test_every_move_made_twice_is_the_same_as_once(someone: Subscriber) -> None:
    later = NOW + SECOND
    for move in (confirmed, unsubscribed, resubscribed):
        assert move(move(someone, at=NOW), at=later) == move(someone, at=NOW)


@pytest.mark.standard("G-01")
@pytest.mark.parametrize("someone", [active, left])
def test_a_confirmation_moves_only_someone_who_was_asked(someone: Subscriber) -> None:
    assert confirmed(someone, at=NOW) == someone


def test_a_sign_up_for_someone_active_changes_nothing() -> None:
    assert requested(active, at=NOW + SECOND) == active


def test_leaving_while_pending_leaves() -> None:
    assert unsubscribed(pending, at=NOW).state is SubscriberState.UNSUBSCRIBED


@pytest.mark.fault(124)
def test_an_address_is_asked_once_a_day_and_three_times_in_all() -> None:
    someone: Subscriber | None = None
    asked: list[timedelta] = []
    for hour in range(24 * 40):
        at = NOW + timedelta(hours=hour)
        if may_ask(someone, None, at=at):
            someone = requested(someone or new, at=at)
            asked.append(timedelta(hours=hour))
    assert asked == [timedelta(0), ASK_EVERY, 2 * ASK_EVERY]


@pytest.mark.fault(124)
def test_leaving_does_not_give_new_messages_to_someone_who_never_confirmed() -> None:
    someone = replace(unsubscribed(pending, at=NOW), asks=3)
    assert not may_ask(someone, SuppressionReason.UNSUBSCRIBED, at=NOW + timedelta(days=30))


def test_someone_who_left_may_come_back_by_asking_and_confirming() -> None:
    at = NOW + timedelta(days=100)
    assert may_ask(left, SuppressionReason.UNSUBSCRIBED, at=at)
    again = requested(left, at=at)
    assert again.state is SubscriberState.PENDING
    assert again.confirmed_at is None
    assert confirmed(again, at=at).state is SubscriberState.ACTIVE


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_only_a_reason_of_ones_own_making_yields_to_a_new_sign_up(reason: SuppressionReason) -> None:
    own = {SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED}
    assert may_ask(None, reason, at=NOW) is (reason in own)


@pytest.mark.fault(124)
def test_of_two_sign_ups_at_once_the_second_changes_nothing() -> None:
    assert requested(pending, at=NOW) == pending
    assert requested(pending, at=NOW + ASK_EVERY - SECOND) == pending
    assert requested(pending, at=NOW + ASK_EVERY).confirm_round == 2


@pytest.mark.standard("G-03")
def test_a_confirmation_link_works_for_two_days_at_least_and_two_weeks_at_most() -> None:
    assert confirmation(pending, 1, at=NOW + timedelta(hours=48)) is Standing.OPEN
    assert confirmation(pending, 1, at=NOW + CONFIRM_LIFE - SECOND) is Standing.OPEN
    assert confirmation(pending, 1, at=NOW + CONFIRM_LIFE) is Standing.OVER
    assert timedelta(hours=48) <= CONFIRM_LIFE <= timedelta(days=14)


def test_each_message_sent_since_the_last_confirmation_holds_a_working_link() -> None:
    twice = requested(pending, at=NOW + ASK_EVERY)
    at = NOW + ASK_EVERY + SECOND
    assert [confirmation(twice, n, at=at) for n in (0, 1, 2, 3)] == [
        Standing.OVER,
        Standing.OPEN,
        Standing.OPEN,
        Standing.OVER,
    ]


def test_an_old_link_cannot_bring_back_someone_who_left() -> None:
    assert confirmation(left, 1, at=NOW + SECOND) is Standing.OVER
    again = requested(left, at=NOW + timedelta(days=2))
    assert confirmation(again, 1, at=NOW + timedelta(days=2)) is Standing.OVER
    assert confirmation(again, 2, at=NOW + timedelta(days=2)) is Standing.OPEN


def test_a_link_pressed_again_says_that_it_was_done() -> None:
    assert confirmation(active, 1, at=NOW + timedelta(days=300)) is Standing.DONE


@pytest.mark.standard("U-07")
def test_undo_is_for_a_day_and_for_those_who_had_confirmed() -> None:
    assert may_undo(left, at=NOW + UNDO_LIFE - SECOND)
    assert not may_undo(left, at=NOW + UNDO_LIFE)
    assert not may_undo(unsubscribed(pending, at=NOW), at=NOW)
    assert resubscribed(left, at=NOW + SECOND).state is SubscriberState.ACTIVE
    assert resubscribed(left, at=NOW + UNDO_LIFE) == left


def test_undo_never_makes_active_who_had_only_asked_again() -> None:
    later = NOW + ASK_EVERY
    again = unsubscribed(requested(left, at=later), at=later)
    assert again.unsubscribed_at == later
    assert not may_undo(again, at=later + SECOND)


def test_the_words_of_states_and_reasons_fit_the_columns_that_hold_them() -> None:
    assert max(map(len, [*SubscriberState, *ConsentKind])) <= 16
    assert max(map(len, SuppressionReason)) <= 32
