"""Letters for tests and pictures: our own words, in the languages and lengths that make a letter awkward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache

import pytest
from lxml.html import HtmlElement, document_fromstring

from emails import notices
from emails.edition import Letter, LetterContent, Mailbox, Mailing, Newsletter
from emails.merge import split
from emails.render import designs, render
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
    """`weekly` or one of `NOTICES`."""
    newsletter: Newsletter
    subject: str
    html: str
    text: str
    preheader: str

    @property
    def tree(self) -> HtmlElement:
        """The HTML, parsed."""
        return document_fromstring(self.html)


COUNTS = {"frozen": 25, "accepted": 22, "refused": 1, "skipped": 1, "pending": 1}
REMARK = "“Wachten” (wachten.md) was passed over: no sentence in it asks the reader anything"
NOTICES: dict[str, Callable[[Newsletter, str], Letter]] = {
    "confirm": lambda letter, language: notices.confirm(letter, language, CONFIRM),
    "welcome": lambda letter, language: notices.welcome(
        letter, language, first=DAY, unsubscribe_url=UNSUBSCRIBE
    ),
    "data-link": lambda letter, language: notices.data_link(letter, language, CONFIRM),
    "address-change": lambda letter, language: notices.address_change(letter, language, CONFIRM),
    "draft-ready": lambda letter, language: notices.draft_ready(
        letter,
        day=DAY,
        title="Het aanrecht mag blijven staan",
        question=QUESTION,
        example=EXAMPLE,
        post_language="nl",
        remarks=("length: question and example have 300 words",),
    ),
    "draft-held": lambda letter, language: notices.draft_held(letter, day=DAY, reasons=(REMARK,)),
    "run-report": lambda letter, language: notices.run_report(
        letter, day=DAY, verdict="partial", question=QUESTION, counts=COUNTS, notes=(REMARK,)
    ),
}
"""Every letter beside the weekly one."""
WHY = {
    "weekly": "footer.why_subscribed",
    "welcome": "footer.why_subscribed",
    "data-link": "footer.why_link",
    **dict.fromkeys(("confirm", "address-change"), "footer.why_asked"),
    **dict.fromkeys(("draft-ready", "draft-held", "run-report"), "footer.why_editor"),
}
PREHEADERS = {
    **{kind: f"{kind}.preheader" for kind in ("confirm", "welcome")},
    "address-change": "change.preheader",
    "data-link": "data.preheader",
    "draft-ready": "draft.preheader",
    "draft-held": "held.preheader",
    "run-report": "report.preheader",
}


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
        made = NOTICES[kind](newsletter, language)
        html, text, subject = made.html, made.text, made.subject
        preheader = words(language).say(PREHEADERS[kind])
    return Finished(
        kind=kind, newsletter=newsletter, subject=subject, html=html, text=text, preheader=preheader
    )


def _every() -> Iterator[tuple[str, str, str]]:
    """Both letters that everyone gets in every language and design, the others in each at least once."""
    for language in languages():
        for design in designs():
            yield from ((kind, language, design) for kind in ("weekly", "confirm"))
            if language == "nl" or design == "quiet":
                yield from ((kind, language, design) for kind in NOTICES if kind != "confirm")


EVERY = [pytest.param(*case, id="-".join(case)) for case in _every()]
