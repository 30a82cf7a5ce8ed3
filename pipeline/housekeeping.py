"""What is tidied up beside the letters: unanswered requests are brought to mind and forgotten, and what was
kept long enough goes. `run` and the service do it after each look; it never stands in a letter's way."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final

from pipeline.sources import AskedToStop
from pipeline.store import Store
from pipeline.store.erasing import forget_settled, sweep
from pipeline.store.incoming import KEPT_FOR
from pipeline.week import Week, look_at_clock
from subscribers.consent import NETWORK_LIFE
from subscribers.limits import COUNTS_LIFE, window
from subscribers.moving import MOVE_LIFE
from subscribers.subscriber import SubscriberState
from subscribers.waiting import Step, next_step

REMINDERS_AT_ONCE: Final = 200
"""A run is not kept from its letters by a crowd of reminders; the others get theirs an hour later."""

log = logging.getLogger("weekbrief.housekeeping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What was done."""

    reminded: int = 0
    forgotten: int = 0
    """Requests that nobody confirmed."""
    networks: int = 0
    """Networks removed from the evidence of consent."""


def tidy(week: Week, *, stop: Event) -> Tidied:
    """Do what is due, at most once an hour whoever asks. Never raises: a failure is for the log.

    Nothing is done at a time that somebody made up (`run --now`) or while the clock is in doubt: what is
    erased does not come back.
    """
    now = week.clock.now()
    try:
        if not week.clock_is_real or look_at_clock(week).hold:
            return Tidied()
        if not week.store.joins.count("tidied", since=window(now), most=1):
            return Tidied()
        return _tidy(week, now, stop)
    except Exception as error:
        # Its words may hold an address.
        log.error("tidying up failed (%s); the next try is in an hour", type(error).__qualname__)
        return Tidied()


def _tidy(week: Week, now: datetime, stop: Event) -> Tidied:
    store = week.store
    _refresh(week)
    store.joins.forget(before=now - COUNTS_LIFE)
    store.incoming.forget_unreadable(before=now - KEPT_FOR)
    networks = store.consents.forget_networks(before=now - NETWORK_LIFE)
    store.preferences.forget_changes(before=now - MOVE_LIFE)
    late, due = _unanswered(store, now)
    forgotten = sum(store.requests.forget(person, at=now) for person in late)
    settled = forget_settled(store.engine)
    if forgotten or networks or settled:
        sweep(store.engine)
    if forgotten:
        log.info("%d requests that nobody confirmed were forgotten", forgotten)
    reminded = _remind(week, due[:REMINDERS_AT_ONCE], now, stop) if due else 0
    return Tidied(reminded=reminded, forgotten=forgotten, networks=networks)


def _refresh(week: Week) -> None:
    """Feeds are no reason not to tidy up."""
    try:
        week.source.refresh()
    except AskedToStop:
        log.info("the feeds were not refreshed: asked to stop")
    except Exception as error:
        log.error("the feeds were not refreshed (%s); the next try is in an hour", type(error).__qualname__)


def _unanswered(store: Store, now: datetime) -> tuple[list[int], list[int]]:
    """The numbers of those to forget, and of those to remind."""
    found: dict[Step, list[int]] = {step: [] for step in Step}
    for person in store.subscribers.listed(state=SubscriberState.PENDING):
        found[next_step(person, at=now)].append(person.id)
    return found[Step.FORGET], found[Step.REMIND]


def _remind(week: Week, people: list[int], now: datetime, stop: Event) -> int:
    """Write to each; gives how many. One that fails is not tried again, and ends it for this hour."""
    # Loaded with the first reminder: most runs have none.
    from pipeline.notices import NotAnswered, Notices
    from subscribers.asking import Ask
    from subscribers.links import confirm_url

    reminded = 0
    with closing(week.esp()) as esp:
        notices = Notices(
            week.newsletter, esp, installation=week.store.installation.id, deadline=week.pace.deadline
        )
        for number in people:
            person = None if stop.is_set() else week.store.requests.remind(number, at=now)
            if person is None:
                continue
            try:
                token = week.signer.confirm_token(person.id, person.confirm_round)
                notices.remind(Ask(subscriber=person, url=confirm_url(week.newsletter.url, token)))
            except NotAnswered:
                log.warning("the provider did not take a reminder; the others wait an hour")
                break
            reminded += 1
    return reminded
