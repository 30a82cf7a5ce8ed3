"""Signing up: a form comes in as values, a reply goes out as values.

Every address gets the same answer, known here or not, so that nobody learns from it who reads the letter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from emails.edition import Newsletter
from emails.pages import consent_wording, page_language
from subscribers import links
from subscribers.addresses import MAX_TYPED, AddressError, clean_name, normalise
from subscribers.asking import take_up
from subscribers.consent import FORM, ConsentKind, ConsentRecord
from subscribers.limits import Doorkeeper, Held, in_time
from subscribers.ports import SubscriberStore
from subscribers.replies import PageName, Reply
from subscribers.tokens import Signer


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


class JoinPages:
    """The form, and what becomes of it. Methods block on the store; each acts at most once per call."""

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

    def show(self, language: str = "") -> Reply:
        stamp = self._signer.stamp(self._clock())
        return Reply(
            page=PageName.JOIN,
            language=page_language(language, self._newsletter.language),
            values={"stamp": stamp},
        )

    def join(self, form: JoinForm) -> Reply:
        """Take up a sign-up. The answer is the same for every address, known or not; a program that fills in
        every field, or is quicker than people, gets it too, and so does everyone while there are too many."""
        language, now = page_language(form.language, self._newsletter.language), self._clock()
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
