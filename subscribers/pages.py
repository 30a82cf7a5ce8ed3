"""Joining, confirming and leaving: a request comes in as values, a reply goes out as values.

Nothing here knows HTTP or HTML. Reading a page (`show_…`) never changes anything, because link scanners
open every link of every letter; only a press of the button does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from emails.edition import Newsletter
from emails.pages import consent_wording, page_language
from subscribers import links
from subscribers.addresses import MAX_TYPED, AddressError, clean_name, normalise
from subscribers.asking import Ask, take_up
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.ports import SubscriberStore
from subscribers.subscriber import (
    Standing,
    Subscriber,
    SubscriberState,
    confirmation,
    may_undo,
)
from subscribers.tokens import Signer


class PageName(StrEnum):
    """One template each, in `emails/templates/pages`."""

    JOIN = "join"
    ASKED = "asked"
    CONFIRM = "confirm"
    CONFIRMED = "confirmed"
    LEAVE = "leave"
    LEFT = "left"
    BACK = "back"
    OVER = "over"
    PRIVACY = "privacy"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the visitor sees, and what is still to be done for them."""

    page: PageName
    language: str
    status: int = 200
    values: Mapping[str, object] = field(default_factory=dict)
    ask: Ask | None = None
    """A confirmation message to send. The page is the same with or without it."""

    @property
    def findable(self) -> bool:
        """May search engines list this page?"""
        return self.page in {PageName.JOIN, PageName.PRIVACY}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinForm:
    """What was filled in, as it came."""

    email: str = ""
    name: str = ""
    language: str = ""
    website: str = ""
    """Hidden from people; only programs fill it in."""


class Pages:
    """The pages of one newsletter. Methods block on the store; each acts at most once per call."""

    def __init__(
        self,
        *,
        store: SubscriberStore,
        signer: Signer,
        newsletter: Newsletter,
        clock: Callable[[], datetime],
        every: str = "week",
    ) -> None:
        self._store = store
        self._signer = signer
        self._newsletter = newsletter
        self._clock = clock
        self._every = every

    # Joining

    def show_join(self, language: str = "") -> Reply:
        return Reply(page=PageName.JOIN, language=self._language(language))

    def join(self, form: JoinForm) -> Reply:
        """Take up a sign-up. The answer is the same for every address, known or not; a program that
        fills in every field gets it too, and nothing happens."""
        language = self._language(form.language)
        asked = Reply(page=PageName.ASKED, language=language)
        if form.website:
            return asked
        try:
            ask = self._take_up(form, language)
        except AddressError:
            values = {"wrong": True, "email": form.email[:MAX_TYPED], "name": clean_name(form.name)}
            return Reply(page=PageName.JOIN, language=language, status=422, values=values)
        return Reply(page=PageName.ASKED, language=language, ask=ask)

    def _take_up(self, form: JoinForm, language: str) -> Ask | None:
        return take_up(
            self._store,
            self._signer,
            self._newsletter.url,
            address=normalise(form.email),
            name=clean_name(form.name),
            language=language,
            consent=self._consent(language, self._clock()),
        )

    def _consent(self, language: str, now: datetime) -> ConsentRecord:
        return ConsentRecord(
            kind=ConsentKind.REQUESTED,
            wording=consent_wording(self._newsletter, language, self._every),
            source="page",
            page=links.join_url(self._newsletter.url),
            language=language,
            occurred_at=now,
        )

    # Confirming

    def show_confirm(self, token: str) -> Reply:
        subscriber, standing = self._confirmation(token)
        if subscriber is None:
            return self.unknown()
        page = {
            Standing.OPEN: PageName.CONFIRM,
            Standing.DONE: PageName.CONFIRMED,
            Standing.OVER: PageName.OVER,
        }[standing]
        return Reply(page=page, language=self._language(subscriber.language))

    def confirm(self, token: str) -> Reply:
        subscriber, standing = self._confirmation(token)
        if subscriber is None:
            return self.unknown()
        language = self._language(subscriber.language)
        if standing is Standing.OVER:
            return Reply(page=PageName.OVER, language=language)
        if standing is Standing.OPEN:
            self._store.confirm(subscriber.id, at=self._clock(), how="page")
        return Reply(page=PageName.CONFIRMED, language=language)

    def _confirmation(self, token: str) -> tuple[Subscriber | None, Standing]:
        read = self._signer.read_confirm(token)
        subscriber = self._person(read.subscriber_id) if read else None
        if read is None or subscriber is None:
            return None, Standing.OVER
        return subscriber, confirmation(subscriber, read.request, at=self._clock())

    # Leaving

    def show_unsubscribe(self, token: str) -> Reply:
        subscriber_id = self._signer.read_unsubscribe(token)
        if subscriber_id is None:
            return self.unknown()
        subscriber = self._person(subscriber_id)
        if subscriber is None or subscriber.state is SubscriberState.UNSUBSCRIBED:
            return self._left(token, subscriber)
        return Reply(page=PageName.LEAVE, language=self._language(subscriber.language))

    def unsubscribe(self, token: str, *, how: str) -> Reply:
        """Leave, at once (RFC 8058). `how` is `one-click` or `page`. Also for those who have left or were
        erased the answer is yes: the letter they hold keeps its promise."""
        subscriber_id = self._signer.read_unsubscribe(token)
        if subscriber_id is None:
            return self.unknown()
        self._store.unsubscribe(subscriber_id, at=self._clock(), how=how)
        return self._left(token, self._person(subscriber_id))

    def undo(self, token: str) -> Reply:
        """Back again, for one day after leaving."""
        subscriber_id = self._signer.read_unsubscribe(token)
        if subscriber_id is None:
            return self.unknown()
        subscriber = self._person(subscriber_id)
        if subscriber is None:
            return self._left(token, None)
        language = self._language(subscriber.language)
        now = self._clock()
        if may_undo(subscriber, at=now):
            self._store.resubscribe(subscriber.id, at=now, how="page")
            subscriber = self._person(subscriber.id)
        back = subscriber is not None and subscriber.state is SubscriberState.ACTIVE
        return Reply(page=PageName.BACK if back else PageName.OVER, language=language)

    def _left(self, token: str, subscriber: Subscriber | None) -> Reply:
        values: dict[str, object] = {}
        if subscriber is not None and may_undo(subscriber, at=self._clock()):
            values["undo_url"] = links.path_of(links.undo_url(self._newsletter.url, token))
        language = self._language(subscriber.language if subscriber else "")
        return Reply(page=PageName.LEFT, language=language, values=values)

    # Everything else

    def show_privacy(self, language: str = "") -> Reply:
        return Reply(page=PageName.PRIVACY, language=self._language(language))

    def unknown(self) -> Reply:
        """The one answer to every address and token that we do not know."""
        return Reply(page=PageName.UNKNOWN, language=self._language(""), status=404)

    def refused(self, status: int) -> Reply:
        """A request that we do not take: too large, too slow, or of a kind that has no meaning here."""
        return Reply(page=PageName.REFUSED, language=self._language(""), status=status)

    def trouble(self) -> Reply:
        """Our own failure."""
        return Reply(page=PageName.TROUBLE, language=self._language(""), status=500)

    def alive(self) -> bool:
        """True if the store answers; raises what it raises."""
        self._store.by_id(1)
        return True

    def _person(self, subscriber_id: int) -> Subscriber | None:
        subscriber = self._store.by_id(subscriber_id)
        if subscriber is None or subscriber.state is SubscriberState.ERASED:
            return None
        return subscriber

    def _language(self, wanted: str) -> str:
        return page_language(wanted, self._newsletter.language)
