"""The gate: calls leave evenly, never two at once, and nobody is kept back for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from pipeline.pacing import NUDGE, SPARE, Gate

START = datetime(2026, 11, 29, 8, tzinfo=UTC)
STEP = timedelta(seconds=SPARE / 10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_reservations_are_spread_a_little_wider_than_the_limit() -> None:
    gate = Gate(10, now=START)
    taken = [gate.reserve(START) for _ in range(101)]
    assert {b - a for a, b in pairwise(taken)} == {STEP}
    assert taken[100] - taken[0] == timedelta(seconds=10 * SPARE)


def test_who_is_late_pushes_the_next_one_along() -> None:
    gate = Gate(10, now=START)
    assert gate.leaves(at(0.05)) == at(0.05)
    assert gate.leaves(at(0.103)) == at(0.05) + STEP
    assert gate.leaves(at(0.9)) == at(0.9)


def test_in_no_second_do_more_leave_than_may() -> None:
    gate = Gate(10, now=START)
    left = []
    for number in range(200):
        slot = gate.reserve(START)
        left.append(gate.leaves(slot + timedelta(milliseconds=7 * (number * 37 % 11))))
    for first in left:
        assert sum(first <= other < first + timedelta(seconds=1) for other in left) <= 10


@pytest.mark.parametrize("rate", [0.01, 1.0, 10.0])
def test_nobody_whose_intent_is_written_waits_long(rate: float) -> None:
    gate = Gate(rate, now=START)
    gate.leaves(START)
    gate.told_to_wait(at(600))
    assert gate.leaves(START) <= START + NUDGE


def test_without_a_limit_nobody_waits() -> None:
    gate = Gate(None, now=START)
    assert [gate.leaves(START) for _ in range(5)] == [START] * 5
    assert [gate.reserve(START) for _ in range(5)] == [START] * 5


def test_a_moment_that_another_clock_left_behind_counts_for_nothing() -> None:
    """`run --now` may have been told of next month."""
    for rate in (None, 10.0):
        assert Gate(rate, now=START, opens=START + timedelta(minutes=15)).opens > START
        assert Gate(rate, now=START, opens=START + timedelta(days=7)).opens == START


def test_a_slow_pace_is_kept_to_by_the_next_run() -> None:
    rate = 4 / 86_400
    first = Gate(rate, now=START)
    for _ in range(3):
        first.reserve(START)
    assert Gate(rate, now=START, opens=first.opens).opens == first.opens
