"""The alarm clock of `serve`: APScheduler rings every half minute, and `run_due` decides what that means.

Nothing about slots is kept here. A bell that is missed, doubled or rung in two processes does no harm:
the slot's row in the database elects the one sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apscheduler.schedulers.background import BackgroundScheduler

SECONDS_BETWEEN_LOOKS = 30
"""Longer sleeps overshoot after a laptop wakes up."""


@contextmanager
def ringing(look: Callable[[], None], *, every: int = SECONDS_BETWEEN_LOOKS) -> Iterator[None]:
    """Call `look` now and every `every` seconds for the block, never twice at once."""
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        look, "interval", seconds=every, coalesce=True, max_instances=1, misfire_grace_time=None
    )
    scheduler.add_job(look)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=True)
