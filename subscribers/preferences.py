"""Less often, a pause, another language: what the link at the foot of a letter lets its holder set.

Whoever holds a forwarded letter can come here, so nothing here can hurt or tell anything: the letter can
only be made to come less. All else needs a link that is mailed to the reader's own address
(`subscribers.own_data`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from emails.edition import Newsletter
from emails.pages import page_language
from subscribers import links
from subscribers.notices import DataLink
from subscribers.ports import JoinCounter, PreferenceStore, SubscriberStore
from subscribers.replies import PageName, Reply
from subscribers.subscriber import Frequency, Subscriber, SubscriberState
from subscribers.tokens import Signer

PAUSES: Final = (2, 4, 8)
"""Weeks that a pause can last."""
LINKS_A_DAY: Final = 3
"""Links to their own data that somebody can have mailed to themselves in a day (UTC). The letters also go to
someone who left, if they ask: what is held about them is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceForm:
    """What was pressed and chosen, as it came; one of `pause` and `frequency` is filled."""

    pause: str = ""
    """Weeks; `0` lifts a pause."""
    frequency: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnParts:
    """What the pages of one reader are made of."""

    people: SubscriberStore
    store: PreferenceStore
    counter: JoinCounter
    signer: Signer
    newsletter: Newsletter
    clock: Callable[[], datetime]
    zone: tzinfo
    """The schedule's, in which days are told."""

    def person(self, subscriber_id: int) -> Subscriber | None:
        """None for those who were erased or never were."""
        person = self.people.by_id(subscriber_id)
        return None if person is None or person.state is SubscriberState.ERASED else person

    def language(self, person: Subscriber | None) -> str:
        return page_language(person.language if person else "", self.newsletter.language)

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def may_still(self, what: str, *, most: int) -> bool:
        """Count one more of these today (UTC); False when there were `most` already."""
        today = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return self.counter.count(what, since=today, most=most)

    def writable(self, address_key: str) -> bool:
        """May this address be written to if its owner asks for it?"""
        suppressed = self.people.suppression(address_key)
        return suppressed is None or suppressed.lifted_by_consent

    def unknown(self) -> Reply:
        return Reply(page=PageName.UNKNOWN, language=self.newsletter.language, status=404)


class PreferencePages:
    """The preferences of one reader at a time. Methods block on the store."""

    def __init__(self, own: OwnParts) -> None:
        self._own = own

    def show(self, token: str, *, done: str = "") -> Reply:
        """How somebody gets the letter now. `done` is what they have just changed, if anything."""
        own = self._own
        subscriber_id = own.signer.read_unsubscribe(token)
        if subscriber_id is None:
            return own.unknown()
        person = own.person(subscriber_id)
        if person is None:
            return Reply(page=PageName.LEFT, language=own.language(None))
        values = {**self._urls(token), **self._as_it_is(person), "done": done}
        return Reply(page=PageName.PREFERENCES, language=own.language(person), values=values)

    def change(self, token: str, form: PreferenceForm) -> Reply:
        """Set what the form says; anything it cannot say is left as it was."""
        subscriber_id = self._own.signer.read_unsubscribe(token)
        if subscriber_id is None:
            return self._own.unknown()
        return self.show(token, done=self._change(subscriber_id, form))

    def send_link(self, token: str) -> Reply:
        """Mail a link to their own data to the reader's own address. The page is the same when too many were
        asked for, or when their mailbox must not be written to."""
        own = self._own
        subscriber_id = own.signer.read_unsubscribe(token)
        if subscriber_id is None:
            return own.unknown()
        person = own.person(subscriber_id)
        if person is None:
            return Reply(page=PageName.LEFT, language=own.language(None))
        return Reply(
            page=PageName.LINK,
            language=own.language(person),
            values=self._urls(token),
            notice=self._link(person),
        )

    def _link(self, person: Subscriber) -> DataLink | None:
        own = self._own
        if not own.writable(person.address_key) or not own.may_still(f"link:{person.id}", most=LINKS_A_DAY):
            return None
        now = own.clock()
        url = links.own_url(own.newsletter.url, own.signer.personal_token(person.id, now))
        return DataLink(subscriber=person, url=url, made_at=now)

    def _change(self, subscriber_id: int, form: PreferenceForm) -> str:
        store = self._own.store
        if form.pause == "0":
            return "lifted" if store.pause(subscriber_id, until=None) else ""
        if form.pause in map(str, PAUSES):
            until = self._own.clock() + timedelta(weeks=int(form.pause))
            return "paused" if store.pause(subscriber_id, until=until) else ""
        person = self._own.person(subscriber_id)
        if person is None or form.frequency not in set(Frequency):
            return ""
        language = page_language(form.language, person.language)
        frequency = Frequency(form.frequency)
        return "saved" if store.prefer(subscriber_id, frequency=frequency, language=language) else ""

    def _as_it_is(self, person: Subscriber) -> dict[str, object]:
        until, offered = person.paused_until, frequencies(self._own.newsletter.every)
        paused = until is not None and until > self._own.clock()
        return {
            "active": person.state is SubscriberState.ACTIVE,
            "paused_until": self._own.day(until) if until and paused else None,
            "pauses": PAUSES,
            "frequency": person.frequency.value if person.frequency in offered else offered[0],
            "frequencies": offered,
        }

    def _urls(self, token: str) -> dict[str, object]:
        base = self._own.newsletter.url
        return {
            "leave_url": links.path_of(links.unsubscribe_url(base, token)),
            "preferences_url": links.path_of(links.preferences_url(base, token)),
        }


def frequencies(every: str) -> tuple[str, ...]:
    """What a reader can choose from. One letter a month is nothing to choose where there is one anyway."""
    return tuple(each.value for each in Frequency if every != "month" or each is not Frequency.MONTH)
