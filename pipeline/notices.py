"""Letters that answer what one person did: for now, "confirm your address"."""

from __future__ import annotations

from collections.abc import Iterable

from emails.delivery import Answer, AnswerClass, Esp, Recipient
from emails.edition import Letter, Newsletter
from emails.render import render_confirm
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.week import mailing_of
from pipeline.wiring import esp_of, signer_of
from subscribers.addresses import Address
from subscribers.asking import Ask, take_up
from subscribers.consent import ConsentRecord


class NotAnswered(Exception):
    """The provider did not take a notice. Says what it said."""


class Notices:
    """Sends notices of one newsletter through its provider."""

    def __init__(self, newsletter: Newsletter, esp: Esp, *, installation: str, deadline: float) -> None:
        self._newsletter = newsletter
        self._esp = esp
        self._installation = installation
        self._deadline = deadline

    def confirm(self, ask: Ask) -> None:
        """Ask one person to confirm. Raises `NotAnswered`; asking again later is up to them, so a lost
        answer is never repeated."""
        person = ask.subscriber
        letter = render_confirm(self._newsletter, person.language, ask.url)
        self._send(letter, person.address, person.name, f"confirm-{person.id}-{person.confirm_round}")

    def _send(self, letter: Letter, address: str, name: str, label: str) -> None:
        mailing = mailing_of(
            self._newsletter, letter, installation=self._installation, edition="notice", notice=True
        )
        domain = self._newsletter.sender.address.rpartition("@")[2]
        recipient = Recipient(
            delivery_id=f"{self._installation}-{label}",
            address=address,
            name=name,
            unsubscribe_url="",
            message_id=f"<{label}.{self._installation}@{domain}>",
        )
        request = self._esp.build(mailing, [recipient], f"wb1-{self._installation}-{label}")
        answer: Answer = self._esp.submit(request, self._deadline)
        if answer.kind is not AnswerClass.ACCEPTED:
            raise NotAnswered(answer.error or f"the provider did not take it ({answer.kind})")


def ask_to_confirm(
    settings: Settings,
    store: Store,
    people: Iterable[tuple[Address, str, str]],
    *,
    consent: ConsentRecord,
) -> int:
    """Ask each (address, name, language) to confirm; gives how many were asked. Raises `NotAnswered`.

    Whoever gets the letter already, refused it, or was asked lately is left in peace.
    """
    signer, asked = signer_of(settings, store), 0
    esp = esp_of(settings)
    try:
        notices = Notices(
            settings.newsletter,
            esp,
            installation=store.installation.id,
            deadline=settings.provider.timeout,
        )
        for address, name, language in people:
            ask = take_up(
                store.subscribers,
                signer,
                settings.newsletter.url,
                address=address,
                name=name,
                language=language,
                consent=consent,
            )
            if ask is not None:
                notices.confirm(ask)
                asked += 1
    finally:
        esp.close()
    return asked
