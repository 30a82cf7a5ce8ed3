"""What becomes of a request that nobody answered: it is brought to mind once, then it is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from subscribers.subscriber import ASKS_AT_MOST, CONFIRM_LIFE, Subscriber, SubscriberState, messages

REMIND_AFTER: Final = timedelta(days=3)
"""After the last request. By then the first message has sunk below the others."""


class Step(StrEnum):
    """What is to be done about someone who has not confirmed."""

    WAIT = "wait"
    REMIND = "remind"
    FORGET = "forget"


def next_step(subscriber: Subscriber, *, at: datetime) -> Step:
    """Remind once, `REMIND_AFTER` the last request, within the messages that an address may get in all;
    forget when no link works any more."""
    if subscriber.state is not SubscriberState.PENDING:
        return Step.WAIT
    waited = at - (subscriber.asked_at or subscriber.created_at)
    if waited >= CONFIRM_LIFE:
        return Step.FORGET
    may_remind = subscriber.reminded_at is None and 0 < messages(subscriber) < ASKS_AT_MOST
    return Step.REMIND if waited >= REMIND_AFTER and may_remind else Step.WAIT
