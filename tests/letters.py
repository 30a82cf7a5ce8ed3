"""Letters for tests and pictures: our own words, in the languages and lengths that make a letter awkward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache

import pytest
from lxml.html import HtmlElement, document_fromstring

from emails.edition import Letter, LetterContent, Mailbox, Mailing, Newsletter
from emails.merge import split
from emails.render import designs, render, render_confirm
from emails.words import languages, words
from pipeline.compose import compose
from pipeline.post import Block, BlockKind, Brief, Post, Quote

UNSUBSCRIBE = "https://brief.stillewateren.example/u/MjE3LjE0.Zk3v9Qm2x7Rr1cT0yHnB5w"
CONFIRM = "https://brief.stillewateren.example/c/MjE3LjE0.Zk3v9Qm2x7Rr1cT0yHnB5w"
DAY = date(2026, 11, 29)

NEWSLETTER = Newsletter(
    name="Stille wateren",
    sender=Mailbox(address="brief@stillewateren.example", name="Marijke van Dam"),
    language="nl",
    address="Kerkpad 12, 8701 GH Bolsward",
    url="https://brief.stillewateren.example",
    reply_to=Mailbox(address="marijke@stillewateren.example"),
    sign_off="Tot een volgende keer,\nMarijke",
)

QUESTION = "Wat zou er gebeuren als je vandaag één ding niet afmaakt?"
EXAMPLE = (
    "Het aanrecht staat vol en het is half elf. Je weet precies hoe het gaat: eerst de pannen, dan het "
    "fornuis, dan toch nog even de koelkast, en om middernacht sta je met natte mouwen te denken dat je "
    "moe bent. Deze avond doe je het licht uit. De pannen staan er morgen ook nog, en ze nemen het je "
    "niet kwalijk.\n\n"
    "De volgende ochtend was je ze in tien minuten af, met de radio aan. Er is niets misgegaan. Er is alleen "
    "een avond bij gekomen."
)
TEXT = f"Afmaken\n\n{QUESTION}\n\n{EXAMPLE}\n\n" + "Een zin die nog even doorloopt over het huis. " * 90


def post(question: str = QUESTION, example: str = EXAMPLE, **changes: object) -> Post:
    """A post that holds `question` and `example` word for word."""
    text = TEXT if (question, example) == (QUESTION, EXAMPLE) else f"{question}\n\n{example}"
    whole = Post(
        key="afmaken.md",
        title="Het aanrecht mag blijven staan",
        language="nl",
        published=datetime(2026, 11, 2, 7, 0, tzinfo=UTC),
        text=text,
        blocks=(Block(kind=BlockKind.PARAGRAPH, start=0, end=len(text)),),
        url="https://www.stillewateren.example/het-aanrecht-mag-blijven-staan",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # tests name the fields they change


def brief(question: str = QUESTION, example: str = EXAMPLE, **changes: object) -> Brief:
    """The brief of `post`."""
    whole = post(question, example, **changes)
    return Brief(post=whole, question=_quote(whole.text, question), example=_quote(whole.text, example))


def content(
    question: str = QUESTION,
    example: str = EXAMPLE,
    *,
    newsletter: Newsletter = NEWSLETTER,
    **changes: object,
) -> LetterContent:
    """What `compose` makes of that brief."""
    return compose(brief(question, example, **changes), newsletter=newsletter, edition="2026-11-29", day=DAY)


def letter(
    question: str = QUESTION,
    example: str = EXAMPLE,
    *,
    newsletter: Newsletter = NEWSLETTER,
    **changes: object,
) -> Letter:
    """That content, rendered."""
    return render(content(question, example, newsletter=newsletter, **changes))


def in_language(language: str, design: str = "quiet") -> Newsletter:
    """The newsletter in another language or design."""
    return replace(NEWSLETTER, language=language, design=design, sign_off="")


def mailing(rendered: Letter, newsletter: Newsletter = NEWSLETTER) -> Mailing:
    """What a provider is handed."""
    return Mailing(
        installation="i-1",
        edition="2026-11-29",
        newsletter=newsletter,
        letter=rendered,
        list_id="Stille wateren <brief.stillewateren.example>",
        feedback_id="2026-11-29:nl:brief:stillewateren",
    )


def _quote(text: str, part: str) -> Quote:
    start = text.index(part)
    return Quote(text=part, start=start, end=start + len(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A letter as one recipient gets it."""

    kind: str
    """`weekly` or `confirm`."""
    newsletter: Newsletter
    subject: str
    html: str
    text: str
    preheader: str

    @property
    def tree(self) -> HtmlElement:
        """The HTML, parsed."""
        return document_fromstring(self.html)


@cache
def finished(kind: str, language: str, design: str) -> Finished:
    """One of the letters that ship, for one recipient."""
    newsletter = in_language(language, design)
    if kind == "weekly":
        values = content(newsletter=newsletter)
        parts = split(render(values))
        html, text = (body.fill({"unsubscribe": UNSUBSCRIBE}) for body in (parts.html, parts.text))
        subject, preheader = values.subject, values.preheader
    else:
        confirm = render_confirm(newsletter, language, CONFIRM)
        html, text, subject = confirm.html, confirm.text, confirm.subject
        preheader = words(language).say("confirm.preheader")
    return Finished(
        kind=kind, newsletter=newsletter, subject=subject, html=html, text=text, preheader=preheader
    )


EVERY = [
    pytest.param(kind, language, design, id=f"{kind}-{language}-{design}")
    for kind in ("weekly", "confirm")
    for language in languages()
    for design in designs()
]
