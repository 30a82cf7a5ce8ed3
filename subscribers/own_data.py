"""What a reader can see and do with a link that was mailed to their own address: everything that we hold, as
a page and as a file; another name, another address; and to be forgotten.

The link works for a day, and no longer than the address it was mailed to is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from emails.pages import move_wording
from subscribers import links
from subscribers.addresses import MAX_TYPED, Address, AddressError, clean_name, normalise
from subscribers.holdings import Holdings
from subscribers.moving import AddressChange, move_standing
from subscribers.notices import MoveLink
from subscribers.preferences import OwnParts
from subscribers.replies import PageName, Reply
from subscribers.subscriber import Standing, Subscriber, SubscriberState

LINK_LIFE: Final = timedelta(days=1)
"""How long a mailed link to somebody's own data works."""
MOVES_A_DAY: Final = 3
"""Letters to new addresses that one reader can cause in a day; any address gets one of them."""
LETTERS_SHOWN: Final = 12
"""On the page; the file has all."""


class OwnDataPages:
    """One reader's own data. Methods block on the store; each acts at most once per call."""

    def __init__(self, own: OwnParts) -> None:
        self._own = own

    # Seeing

    def show(self, token: str) -> Reply:
        found = self.data(token)
        return found if isinstance(found, Reply) else self._page(token, found)

    def data(self, token: str) -> Holdings | Reply:
        """What is held about the person whose link this is, or the page that says why it opens nothing."""
        own = self._own
        read = own.signer.read_personal(token)
        if read is None:
            return own.unknown()
        holdings = own.store.holdings(read.subscriber_id)
        if holdings is None:
            return Reply(page=PageName.ERASED, language=own.language(None))
        # A link says when it was made to the millisecond.
        moved = any(
            change.done_at is not None and _whole(change.done_at) > read.made_at
            for change in holdings.changes
        )
        if moved or not timedelta(0) <= own.clock() - read.made_at < LINK_LIFE:
            return Reply(page=PageName.EXPIRED, language=own.language(holdings.subscriber))
        return holdings

    # Changing

    def rename(self, token: str, name: str) -> Reply:
        found = self.data(token)
        if isinstance(found, Reply):
            return found
        number = found.subscriber.id
        done = "renamed" if self._own.store.rename(number, name=clean_name(name)) else ""
        return self._page(token, self._own.store.holdings(number) or found, done=done)

    def ask_move(self, token: str, email: str) -> Reply:
        """Ask at the new address whether it is theirs. The page is the same whoever is subscribed with it."""
        found = self.data(token)
        if isinstance(found, Reply):
            return found
        try:
            address = normalise(email)
        except AddressError:
            return self._page(token, found, status=422, wrong=True, email=email[:MAX_TYPED])
        person = found.subscriber
        return Reply(
            page=PageName.MOVE_ASKED,
            language=self._own.language(person),
            values={"own_url": self._path(token)},
            notice=self._move_link(person, address) if self._may_ask(person, address) else None,
        )

    def show_move(self, token: str) -> Reply:
        change, person, standing = self._move(token)
        return self._own.unknown() if change is None else self._move_page(standing, person)

    def confirm_move(self, token: str) -> Reply:
        """The button behind the link in the new mailbox."""
        change, person, standing = self._move(token)
        if change is None:
            return self._own.unknown()
        if standing is Standing.OPEN:
            own, language = self._own, self._own.language(person)
            moved = own.store.move(
                change.id,
                at=own.clock(),
                wording=move_wording(own.newsletter, language),
                page=links.move_url(own.newsletter.url, ""),
            )
            # Somebody who presses twice may come second with the same answer.
            done = moved or self._move(token)[2] is Standing.DONE
            standing = Standing.DONE if done else Standing.OVER
        return self._move_page(standing, person)

    # Forgetting

    def show_erase(self, token: str) -> Reply:
        found = self.data(token)
        if isinstance(found, Reply):
            return found
        language = self._own.language(found.subscriber)
        return Reply(page=PageName.ERASE, language=language, values={"own_url": self._path(token)})

    def erase(self, token: str) -> Reply:
        found = self.data(token)
        if isinstance(found, Reply):
            return found
        own, person = self._own, found.subscriber
        own.store.erase(person.id, shadow=own.signer.shadow(person.address_key), at=own.clock())
        return Reply(page=PageName.ERASED, language=own.language(person))

    def _page(
        self, token: str, holdings: Holdings, *, status: int = 200, done: str = "", **more: object
    ) -> Reply:
        own, person = self._own, holdings.subscriber
        preferences = links.preferences_url(own.newsletter.url, own.signer.unsubscribe_token(person.id))
        values = {
            **self._shown(holdings),
            "own_url": self._path(token),
            "preferences_url": links.path_of(preferences),
            "done": done,
            **more,
        }
        return Reply(page=PageName.OWN, language=own.language(person), status=status, values=values)

    def _shown(self, holdings: Holdings) -> Mapping[str, object]:
        """What the page shows of it, moments as days."""
        day, person = self._own.day, holdings.subscriber
        moments = {
            "asked": person.asked_at,
            "confirmed": person.confirmed_at,
            "left": person.unsubscribed_at,
        }
        letters = holdings.letters[:LETTERS_SHOWN]
        return {
            "person": person,
            "active": person.state is SubscriberState.ACTIVE,
            "dates": [(kind, day(at)) for kind, at in moments.items() if at is not None],
            "paused_until": None if person.paused_until is None else day(person.paused_until),
            "stops": [stop.reason for stop in holdings.stops],
            "consents": [(record, day(record.occurred_at)) for record in holdings.consents],
            "letters": [(date.fromisoformat(letter.day), letter) for letter in letters],
            "older": len(holdings.letters) > len(letters),
        }

    def _may_ask(self, person: Subscriber, address: Address) -> bool:
        """Few letters to addresses that somebody typed in, and none to one that refused us."""
        own = self._own
        if person.state is not SubscriberState.ACTIVE or address.address == person.address:
            return False
        return (
            own.writable(address.key)
            and own.may_still(f"move:{person.id}", most=MOVES_A_DAY)
            and own.may_still(f"move:{own.signer.shadow(address.key)}", most=1)
        )

    def _move_link(self, person: Subscriber, address: Address) -> MoveLink | None:
        own = self._own
        change = own.store.ask_move(person.id, address, at=own.clock())
        if change is None:
            return None
        url = links.move_url(own.newsletter.url, own.signer.move_token(change.id))
        return MoveLink(subscriber=person, change=change, url=url)

    def _move(self, token: str) -> tuple[AddressChange | None, Subscriber | None, Standing]:
        own = self._own
        number = own.signer.read_move(token)
        change = own.store.change(number) if number else None
        if change is None:
            return None, None, Standing.OVER
        person = own.people.by_id(change.subscriber_id)
        return change, person, move_standing(change, person, at=own.clock())

    def _move_page(self, standing: Standing, person: Subscriber | None) -> Reply:
        page = {
            Standing.OPEN: PageName.MOVE,
            Standing.DONE: PageName.MOVED,
            Standing.OVER: PageName.EXPIRED,
        }[standing]
        return Reply(page=page, language=self._own.language(person))

    def _path(self, token: str) -> str:
        return links.path_of(links.own_url(self._own.newsletter.url, token))


def _whole(moment: datetime) -> datetime:
    """Without what is less than a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
