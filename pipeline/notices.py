"""Letters to one person: about their subscription, to the editor, to the operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date

from emails import notices as letters
from emails.delivery import Answer, AnswerClass, Esp, Recipient
from emails.edition import Letter, LetterContent, Newsletter
from pipeline.report import Outcome, Report
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.week import mailing_of
from pipeline.wiring import esp_of, signer_of
from subscribers.addresses import Address
from subscribers.asking import Ask, take_up
from subscribers.consent import ConsentRecord
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
        letter = letters.confirm(self._newsletter, person.language, ask.url)
        self._send(letter, person.address, person.name, f"confirm-{person.id}-{person.confirm_round}")

    def welcome(self, person: Subscriber, *, first: date, unsubscribe_url: str) -> None:
        """Say what comes, and that the first letter comes on `first` (a local date). Raises `NotAnswered`."""
        letter = letters.welcome(
            self._newsletter, person.language, first=first, unsubscribe_url=unsubscribe_url
        )
        self._send(letter, person.address, person.name, f"welcome-{person.id}-{person.confirm_round}")

    def goodbye(self, person: Subscriber) -> None:
        """Say that leaving worked. Raises `NotAnswered`."""
        letter = letters.goodbye(self._newsletter, person.language)
        self._send(letter, person.address, person.name, f"goodbye-{person.id}-{person.confirm_round}")

    def address_change(self, person: Subscriber, address: str, url: str, *, request: str) -> None:
        """Ask at the new address whether it is theirs; `url` is the signed link, `request` names the request
        (letters, digits and `-`), so that asking again is another message. Raises `NotAnswered`."""
        letter = letters.address_change(self._newsletter, person.language, url)
        self._send(letter, address, person.name, f"change-{person.id}-{request}")

    def draft_ready(self, content: LetterContent, *, remarks: tuple[str, ...] = ()) -> None:
        """Tell the editor that an edition waits for a yes. Raises `NotAnswered`."""
        letter = letters.draft_ready(
            self._newsletter,
            day=content.date,
            title=content.post_title,
            question=content.question,
            example=content.example,
            post_language=content.post_language,
            remarks=remarks,
        )
        self._to_us(letter, f"draft-{content.edition}")

    def draft_held(self, day: date, reasons: tuple[str, ...]) -> None:
        """Tell the editor that an edition is on hold, and why. Raises `NotAnswered`."""
        self._to_us(letters.draft_held(self._newsletter, day=day, reasons=reasons), f"held-{day}")

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
