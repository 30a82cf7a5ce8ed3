"""What reports mean: reasons, rows of refusals, and the brake. Plain values."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from emails.events import Event, EventKind
from subscribers.reports import (
    BOUNCES,
    COMPLAINTS,
    Reached,
    brake,
    keeps_refusing,
    left,
    reason_of,
    refusals,
)
from subscribers.suppression import SuppressionReason

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def event(kind: str, because: str | None = None) -> Event:
    return Event(provider="x", key="k", kind=EventKind(kind), because=EventKind(because) if because else None)


@pytest.mark.parametrize(
    ("kind", "because", "reason", "gone"),
    [
        ("hard_bounce", None, "hard_bounce", False),
        ("complaint", None, "complaint", False),
        ("unsubscribed", None, None, True),
        ("rejected", "hard_bounce", "hard_bounce", False),
        ("rejected", "complaint", "complaint", False),
        ("rejected", "unsubscribed", None, True),
        ("rejected", None, None, False),
        *(
            (kind, None, None, False)
            for kind in ("accepted", "deferred", "delivered", "soft_bounce", "other")
        ),
    ],
)
def test_reasons(kind: str, because: str | None, reason: str | None, gone: bool) -> None:
    told = event(kind, because)
    assert reason_of(told) == reason
    assert left(told) is gone


def row(story: str, *, days: int = 7) -> list[Reached]:
    """`s` refused, `a` arrived, `-` nothing known; an edition every so many days."""
    return [
        Reached(edition=number, at=DAY + timedelta(days=days * number), arrived=what == "a")
        for number, what in enumerate(story, 1)
        if what != "-"
    ]


@pytest.mark.parametrize(
    ("story", "days", "refusing"),
    [
        ("", 7, False),
        ("s", 7, False),
        ("ss", 30, False),
        ("sss", 7, True),
        ("sss", 6, False),
        ("s-ss", 7, True),
        ("as-s-s", 7, True),
        ("ssas", 7, False),
        ("sssa", 7, False),
        ("sasss", 7, True),
        ("ssssss", 1, False),
        ("ssssss", 3, True),
    ],
)
def test_a_mailbox_keeps_refusing_whatever_the_order_of_the_reports(
    story: str, days: int, refusing: bool
) -> None:
    for order in itertools.permutations(row(story, days=days)):
        assert keeps_refusing(refusals(order)) is refusing


@pytest.mark.parametrize(
    ("accepted", "complaints", "bounces", "stops"),
    [
        (1000, 0, 0, False),
        (3000, COMPLAINTS - 1, 0, False),
        (3000, COMPLAINTS, 0, True),
        (3001, COMPLAINTS, 0, False),
        (10, COMPLAINTS, 0, True),
        (100_000, 99, 0, False),
        (100_000, 100, 0, True),
        (30, 0, BOUNCES - 1, False),
        (30, 0, BOUNCES, True),
        (400, 0, BOUNCES, True),
        (401, 0, BOUNCES, False),
        (10_000, 0, 499, False),
        (10_000, 0, 500, True),
        (0, 0, 0, False),
    ],
)
def test_the_brake(accepted: int, complaints: int, bounces: int, stops: bool) -> None:
    reason = brake(accepted=accepted, complaints=complaints, bounces=bounces)
    assert bool(reason) is stops
    if reason:
        assert f"of {accepted}" in reason
        assert "%" in reason


def test_stronger_reasons_outrank_weaker_ones_and_none_itself() -> None:
    ranked = [
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.HARD_BOUNCE,
        SuppressionReason.COMPLAINT,
        SuppressionReason.MANUAL,
    ]
    for low, high in itertools.combinations(ranked, 2):
        assert high.outranks(low)
        assert not low.outranks(high)
    assert not any(reason.outranks(reason) for reason in SuppressionReason)
    lifted = [reason for reason in SuppressionReason if reason.lifted_by_consent]
    assert not any(low.outranks(high) for low in lifted for high in SuppressionReason if high not in lifted)
