"""Joining, confirming and leaving: a request comes in as values, a reply goes out as values.

Nothing here knows HTTP or HTML. Reading a page (`show_…`) never changes anything, because link scanners
open every link of every letter; only a press of the button does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from emails.edition import Newsletter
from emails.pages import confirm_wording, consent_wording, page_language
from subscribers import links
from subscribers.addresses import MAX_TYPED, AddressError, clean_name, normalise
from subscribers.asking import Ask, take_up
from subscribers.consent import FORM, ConsentKind, ConsentRecord
from subscribers.limits import Doorkeeper, Held, in_time
from subscribers.notices import Notice, Welcome
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
    PREFERENCES = "preferences"
    LINK = "link"
    OWN = "own"
    MOVE_ASKED = "move_asked"
    MOVE = "move"
    MOVED = "moved"
    ERASE = "erase"
    ERASED = "erased"
    EXPIRED = "expired"
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
    notice: Notice | None = None
    """A letter that follows from what they did."""
    held: Held | None = None
    """Why a sign-up was held back: for the operator, never for the visitor."""

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
    stamp: str | None = None
    """When the form was opened (`Signer.stamp`); None for a form on another site, which cannot say."""
    source: str = "page"
    """`page`, `form` (on another site) or `api`."""
    site: str = ""
    """Where a form on another site stands, if it is one the operator named: `https://blog.example`."""
    network: str = ""
    """The visitor's network, if it is known (`networks.network_of`)."""


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
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        """`doorkeeper` limits sign-ups; without one there is no limit but that of each address."""
        self._doorkeeper = doorkeeper
        self._store = store
        self._signer = signer
        self._newsletter = newsletter
        self._clock = clock
        self._every = every

    # Joining

    def show_join(self, language: str = "") -> Reply:
        stamp = self._signer.stamp(self._clock())
        return Reply(page=PageName.JOIN, language=self._language(language), values={"stamp": stamp})

    def join(self, form: JoinForm) -> Reply:
        """Take up a sign-up. The answer is the same for every address, known or not; a program that fills in
        every field, or is quicker than people, gets it too, and so does everyone while there are too many."""
        language, now = self._language(form.language), self._clock()
        asked = Reply(page=PageName.ASKED, language=language)
        if form.website:
            return asked
        try:
            address = normalise(form.email)
        except AddressError:
            return Reply(page=PageName.JOIN, language=language, status=422, values=self._once_more(form, now))
        if not self._in_time(form.stamp, now):
            return asked
        door = _Door(self._doorkeeper, stamped=form.stamp is not None, at=now)
        if not door.network_has_room(form.network):
            return replace(asked, held=Held.NETWORK)
        ask = take_up(
            self._store,
            self._signer,
            self._newsletter.url,
            address=address,
            name=clean_name(form.name),
            language=language,
            consent=self._consent(form, language, now),
            room=door.has_room,
        )
        return replace(asked, ask=ask, held=door.held)

    def _in_time(self, stamp: str | None, now: datetime) -> bool:
        return stamp is None or in_time(self._signer.read_stamp(stamp), at=now)

    def _once_more(self, form: JoinForm, now: datetime) -> dict[str, object]:
        """The form with what was typed. Its stamp stays: mending a letter is quickly done."""
        return {
            "wrong": True,
            "email": form.email[:MAX_TYPED],
            "name": clean_name(form.name),
            "stamp": form.stamp or self._signer.stamp(now),
        }

    def _consent(self, form: JoinForm, language: str, now: datetime) -> ConsentRecord:
        """What is known of what they saw: our own words on our page and in our form, none of a program's."""
        ours = form.source != "api"
        return ConsentRecord(
            kind=ConsentKind.REQUESTED,
            wording=consent_wording(self._newsletter, language, self._every) if ours else "",
            source=form.source,
            page=links.join_url(self._newsletter.url) if form.source == "page" else form.site,
            language=language,
            occurred_at=now,
            form=FORM if ours else "",
            network=form.network,
        )

    # Confirming

    def show_confirm(self, token: str) -> Reply:
        subscriber, standing = self._confirmation(token)
        if subscriber is None:
            return self._gone(token)
        page = {
            Standing.OPEN: PageName.CONFIRM,
            Standing.DONE: PageName.CONFIRMED,
            Standing.OVER: PageName.OVER,
        }[standing]
        return Reply(page=page, language=self._language(subscriber.language))

    def confirm(self, token: str, *, network: str = "") -> Reply:
        """The button on the confirmation page. `network` is the visitor's, if it is known."""
        subscriber, standing = self._confirmation(token)
        if subscriber is None:
            return self._gone(token)
        language = self._language(subscriber.language)
        if standing is Standing.OVER:
            return Reply(page=PageName.OVER, language=language)
        confirmed = standing is Standing.OPEN and self._store.confirm(
            subscriber.id,
            at=self._clock(),
            how="page",
            wording=confirm_wording(self._newsletter, language, self._every),
            page=links.confirm_url(self._newsletter.url, ""),
            network=network,
        )
        notice = self._welcome(subscriber) if confirmed else None
        return Reply(page=PageName.CONFIRMED, language=language, notice=notice)

    def _welcome(self, subscriber: Subscriber) -> Welcome | None:
        """None for someone who must not be written to although they pressed the button: a complaint may have
        come since."""
        if self._store.suppression(subscriber.address_key) is not None:
            return None
        token = self._signer.unsubscribe_token(subscriber.id)
        return Welcome(
            subscriber=subscriber, unsubscribe_url=links.unsubscribe_url(self._newsletter.url, token)
        )

    def _confirmation(self, token: str) -> tuple[Subscriber | None, Standing]:
        read = self._signer.read_confirm(token)
        subscriber = self._person(read.subscriber_id) if read else None
        if read is None or subscriber is None:
            return None, Standing.OVER
        return subscriber, confirmation(subscriber, read.request, at=self._clock())

    def _gone(self, token: str) -> Reply:
        """A true link whose request was erased says that it is over; any other is unknown."""
        if self._signer.read_confirm(token) is None:
            return self.unknown()
        return Reply(page=PageName.OVER, language=self._language(""))

    # Leaving

    def show_unsubscribe(self, token: str) -> Reply:
        subscriber_id = self._signer.read_unsubscribe(token)
        if subscriber_id is None:
            return self.unknown()
        subscriber = self._person(subscriber_id)
        if subscriber is None or subscriber.state is SubscriberState.UNSUBSCRIBED:
            return self._left(token, subscriber)
        return Reply(
            page=PageName.LEAVE,
            language=self._language(subscriber.language),
            values=self._preferences(token),
        )

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
        values = {} if subscriber is None else self._preferences(token)
        if subscriber is not None and may_undo(subscriber, at=self._clock()):
            values["undo_url"] = links.path_of(links.undo_url(self._newsletter.url, token))
        language = self._language(subscriber.language if subscriber else "")
        return Reply(page=PageName.LEFT, language=language, values=values)

    def _preferences(self, token: str) -> dict[str, object]:
        return {"preferences_url": links.path_of(links.preferences_url(self._newsletter.url, token))}

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


class _Door:
    """One sign-up before its limits; remembers why it was held back."""

    def __init__(self, keeper: Doorkeeper | None, *, stamped: bool, at: datetime) -> None:
        self._keeper = keeper
        self._stamped = stamped
        self._at = at
        self.held: Held | None = None

    def network_has_room(self, network: str) -> bool:
        return self._keeper is None or self._keeper.network_has_room(
            network, stamped=self._stamped, at=self._at
        )

    def has_room(self) -> bool:
        if self._keeper is None or self._keeper.has_room(stamped=self._stamped, at=self._at):
            return True
        self.held = Held.OVERALL
        return False
