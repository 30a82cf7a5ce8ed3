"""Mailings and recipients for tests of providers."""

from __future__ import annotations

from emails.delivery import Recipient
from emails.edition import UNSUBSCRIBE_URL, Letter, Mailbox, Mailing, Newsletter


def letter(*, subject: str = "Waar houd je aan vast?", filler: str = "") -> Letter:
    return Letter(
        subject=subject,
        html=f'<html><head></head><body><p>Eén "vraag" \\ {filler}</p>'
        f'<a href="{UNSUBSCRIBE_URL}">uit</a></body></html>',
        text=f'Eén "vraag"\n\t{filler}\nAfmelden: {UNSUBSCRIBE_URL}\n',
        language="nl",
    )


def mailing(*, edition: str = "2026-11-29", text: Letter | None = None) -> Mailing:
    return Mailing(
        installation="inst-1",
        edition=edition,
        newsletter=Newsletter(
            name="Weekbrief",
            sender=Mailbox(address="brief@voorbeeld.example", name="Gerrit"),
            language="nl",
            address="Voorbeeldstraat 1, Utrecht",
            url="https://brief.voorbeeld.example",
            reply_to=Mailbox(address="gerrit@voorbeeld.example"),
        ),
        letter=text or letter(),
        list_id="Weekbrief <weekbrief.voorbeeld.example>",
        feedback_id="2026-11-29:nl:weekbrief:voorbeeld",
    )


def people(count: int, *, first: int = 0) -> list[Recipient]:
    return [
        Recipient(
            delivery_id=f"d{number:05}",
            address=f"lezer{number}@voorbeeld.example",
            name="",
            unsubscribe_url=f"https://brief.voorbeeld.example/u/token-{number:05}",
            message_id=f"<d{number:05}@voorbeeld.example>",
        )
        for number in range(first, first + count)
    ]
