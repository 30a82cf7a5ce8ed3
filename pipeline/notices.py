"""Letters to one person: about their subscription, to the editor, to the operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from hashlib import sha256

from emails import notices as letters
from emails.delivery import Answer, AnswerClass, Esp, Recipient
from emails.edition import Letter, Newsletter
from emails.pages import page_language
from pipeline.report import Outcome, Report
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.week import mailing_of
from pipeline.wiring import esp_of, signer_of
from subscribers.addresses import Address
from subscribers.asking import Ask, take_up
from subscribers.consent import ConsentRecord
from subscribers.notices import DataLink, MoveLink, Notice, Welcome
from subscribers.subscriber import Subscriber


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
        letter = letters.confirm(self._newsletter, self._spoken(person), ask.url)
        self._send(letter, person.address, person.name, f"confirm-{person.id}-{person.confirm_round}")

    def remind(self, ask: Ask) -> None:
        """Bring an unanswered request to mind, once. Raises `NotAnswered`; never repeated, as above."""
        person = ask.subscriber
        letter = letters.confirm(self._newsletter, self._spoken(person), ask.url, reminder=True)
        self._send(letter, person.address, person.name, f"remind-{person.id}-{person.confirm_round}")

    def welcome(self, person: Subscriber, *, first: date, unsubscribe_url: str) -> None:
        """Say what comes, and that the first letter comes on `first` (a local date). Raises `NotAnswered`."""
        letter = letters.welcome(
            self._newsletter, self._spoken(person), first=first, unsubscribe_url=unsubscribe_url
        )
        self._send(letter, person.address, person.name, f"welcome-{person.id}-{person.confirm_round}")

    def data_link(self, person: Subscriber, url: str, *, request: str) -> None:
        """Send a reader the link to what is held about them; `request` as below. Raises `NotAnswered`."""
        letter = letters.data_link(self._newsletter, self._spoken(person), url)
        self._send(letter, person.address, person.name, f"data-{person.id}-{request}")

    def address_change(self, person: Subscriber, address: str, url: str, *, request: str) -> None:
        """Ask at the new address whether it is theirs; `url` is the signed link, `request` names the request
        (letters, digits and `-`), so that asking again is another message. Raises `NotAnswered`."""
        letter = letters.address_change(self._newsletter, self._spoken(person), url)
        self._send(letter, address, person.name, f"change-{person.id}-{request}")

    def follow(self, notice: Notice, *, first: date) -> None:
        """The letter that follows from what a reader did on a page; `first` is the local date of the next
        edition. Raises `NotAnswered`; never repeated: whoever misses it asks again."""
        person = notice.subscriber
        match notice:
            case Welcome():
                self.welcome(person, first=first, unsubscribe_url=notice.unsubscribe_url)
            case DataLink():
                self.data_link(person, notice.url, request=f"{notice.made_at:%Y%m%d%H%M%S}")
            case MoveLink():
                change = notice.change
                self.address_change(person, change.address, notice.url, request=str(change.id))

    def draft_ready(
        self, day: date, *, title: str, question: str, example: str, remarks: tuple[str, ...] = ()
    ) -> None:
        """Tell the editor that the edition of `day` waits for a yes. Raises `NotAnswered`."""
        letter = letters.draft_ready(
            self._newsletter, day=day, title=title, question=question, example=example, remarks=remarks
        )
        self._to_us(letter, f"draft-{day}")

    def draft_held(self, day: date, reasons: tuple[str, ...]) -> None:
        """Tell the editor that an edition is on hold, and why. Raises `NotAnswered`."""
        letter = letters.draft_held(self._newsletter, day=day, reasons=reasons)
        # Another reason is another message, so it needs another key.
        self._to_us(letter, f"held-{day}-{sha256(letter.text.encode()).hexdigest()[:12]}")

    def run_report(self, report: Report) -> None:
        """Tell the operator what a run did for an edition. Raises `NotAnswered`."""
        if report.edition is None:
            return
        verdicts: dict[Outcome, letters.Verdict] = {Outcome.SENT: "sent", Outcome.PARTIAL: "partial"}
        letter = letters.run_report(
            self._newsletter,
            day=date.fromisoformat(report.edition),
            verdict=verdicts.get(report.outcome, "nothing"),
            question=report.question or "",
            counts=asdict(report.counts),
            notes=report.notes,
        )
        self._to_us(letter, f"report-{report.edition}-{report.outcome}")

    def _to_us(self, letter: Letter, label: str) -> None:
        """To whoever reads the answers to the letter: the editor, who is the operator too."""
        us = self._newsletter.reply_to or self._newsletter.sender
        self._send(letter, us.address, us.name, label)

    def _spoken(self, person: Subscriber) -> str:
        """The language to write to them in: the newsletter's where there are no words for their own."""
        return page_language(person.language, self._newsletter.language)

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


@contextmanager
def opened_notices(settings: Settings, store: Store) -> Iterator[Notices]:
    """Notices through a provider of their own, for the block. Raises `SettingsError` naming the line."""
    esp = esp_of(settings)
    try:
        yield Notices(
            settings.newsletter, esp, installation=store.installation.id, deadline=settings.provider.timeout
        )
    finally:
        esp.close()


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
    with opened_notices(settings, store) as notices:
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
    return asked
