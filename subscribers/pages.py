"""Confirming and leaving: a request comes in as values, a reply goes out as values.

Nothing here knows HTTP or HTML. Reading a page (`show_…`) never changes anything, because link scanners
open every link of every letter; only a press of the button does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from emails.edition import Newsletter
from emails.pages import confirm_wording, page_language
from subscribers import links
from subscribers.notices import Welcome
from subscribers.ports import SubscriberStore
from subscribers.replies import PageName, Reply
from subscribers.subscriber import (
    Standing,
    Subscriber,
    SubscriberState,
    confirmation,
    may_undo,
)
from subscribers.tokens import Signer


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
