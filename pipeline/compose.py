"""What this week's letter says around its question and example. Pure: a brief in, a letter's content out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from math import ceil

from emails.edition import LetterContent, Newsletter
from emails.graphemes import length, shorten
from emails.message import SUBJECT_LENGTH, subject_problem
from emails.render import href
from emails.words import Words, words
from pipeline.post import Brief
from subscribers.links import PREFERENCES, archive_url

WORDS_A_MINUTE = 220
"""A calm reader's pace; Brysbaert (2019) finds 238 for English non-fiction read silently."""
PREHEADER_LENGTH = (85, 140)
"""Inboxes show about 100 to 140 characters; a shorter one is filled up with whatever comes next."""
_SHORTEST_CLAUSE = 25


def compose(brief: Brief, *, newsletter: Newsletter, edition: str, day: date) -> LetterContent:
    """The content of one edition, in the newsletter's language.

    `edition` is its name and `day` the local date of its slot. Raises `emails.render.BadLink` when the
    post's address cannot be linked to, and `emails.words.UnknownLanguage`.
    """
    post, tongue = brief.post, words(newsletter.language, newsletter.address_form)
    title = " ".join(post.title.split())
    subject = _subject(_one_line(brief.question.text), title, tongue)
    return LetterContent(
        newsletter=newsletter,
        edition=edition,
        date=day,
        language=newsletter.language,
        subject=subject,
        preheader=_preheader(title, subject, tongue),
        question=brief.question.text,
        example=brief.example.text,
        post_title=title,
        post_url=href(post.url) if post.url else None,
        reading_minutes=reading_minutes(post.text),
        lead=tongue.say("letter.lead"),
        post_language="" if post.language == newsletter.language else post.language,
        browser_url=archive_url(newsletter.url, edition) if newsletter.archive else None,
        preferences=PREFERENCES,
    )


def reading_minutes(text: str) -> int:
    """Whole minutes that reading `text` takes, at least one."""
    return max(1, ceil(len(text.split()) / WORDS_A_MINUTE))


def _subject(question: str, title: str, tongue: Words) -> str:
    """The question if a subject can hold it, else as much of the post's own words as it can."""
    for candidate in _subjects(question, title):
        if candidate and subject_problem(candidate) is None:
            return candidate
    return tongue.say("letter.subject")


def _subjects(question: str, title: str) -> Iterator[str]:
    yield question
    clause = _clause(question)
    if clause:
        yield clause + "…"
    yield title
    yield shorten(question, SUBJECT_LENGTH)


def _clause(question: str) -> str:
    """The longest opening of `question` that ends where it takes a breath and leaves room for an ellipsis."""
    breaths = [match.start() for match in re.finditer(r"\s+[—–-]\s|[,;:]\s", question)]
    heads = [question[:end] for end in breaths if _SHORTEST_CLAUSE <= length(question[:end]) < SUBJECT_LENGTH]
    return heads[-1] if heads else ""


def _preheader(title: str, subject: str, tongue: Words) -> str:
    """A sentence that adds to the subject instead of repeating it."""
    if title and title != subject:
        for key in ("preheader.with_title", "preheader.long_title"):
            sentence = tongue.say(key, title=title)
            if PREHEADER_LENGTH[0] <= length(sentence) <= PREHEADER_LENGTH[1]:
                return sentence
    return tongue.say("preheader.plain")


def _one_line(text: str) -> str:
    return " ".join(text.split())
