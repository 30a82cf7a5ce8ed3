"""The archive of letters as HTML: pages that anyone may read, made without any recipient.

A page is complete in itself, as those of `emails.pages` are; `Places` says where its neighbours are, so that
the same pages stand on the web and in a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from babel.dates import format_skeleton
from markupsafe import Markup

from emails import pages
from emails.edition import Newsletter
from emails.words import Words, direction


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedLetter:
    """What one letter said to everyone."""

    day: str
    """Its local date and its name, `2026-11-29`."""
    question: str
    example: str
    title: str
    """Of the post it came from."""
    url: str | None
    """Of that post, fit to be linked to."""
    language: str = ""
    """Of that post, and so of what stands here; empty where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a page finds the others."""

    index: str
    rss: str
    json: str
    join: str
    privacy: str
    letter: Callable[[str], str]
    """The place of a letter, by its day."""


def index_page(
    newsletter: Newsletter,
    places: Places,
    letters: Sequence[ArchivedLetter],
    *,
    canonical: str,
    query: str = "",
    searchable: bool,
) -> str:
    """All letters, or those found for `query`, newest first, by year."""
    years: dict[str, list[ArchivedLetter]] = {}
    for one in letters:
        years.setdefault(one.day[:4], []).append(one)
    return _render(
        "index.html",
        newsletter,
        places,
        canonical=canonical,
        years=list(years.items()),
        count=len(letters),
        query=query,
        searchable=searchable,
    )


def letter_page(
    newsletter: Newsletter,
    places: Places,
    letter: ArchivedLetter,
    *,
    canonical: str,
    older: ArchivedLetter | None,
    newer: ArchivedLetter | None,
) -> str:
    """One letter, with the way to its neighbours."""
    return _render(
        "letter.html",
        newsletter,
        places,
        canonical=canonical,
        letter=letter,
        paragraphs=paragraphs(letter.example),
        older=older,
        newer=newer,
    )


def language_attributes(letter: ArchivedLetter, around: str) -> Markup:
    """`lang` and `dir` for what a letter says, where the words around it are in another language (WCAG
    3.1.2); empty where it is the same, or not known."""
    if not letter.language or letter.language.split("-")[0] == around.split("-")[0]:
        return Markup("")
    return Markup(' lang="{}" dir="{}"').format(letter.language, direction(letter.language))


def paragraphs(text: str) -> list[list[str]]:
    """Each with its lines."""
    return [part.split("\n") for part in text.split("\n\n") if part.strip()]


@cache
def style_sheet() -> str:
    """That of the other pages, and what only these need."""
    own = (files("emails") / "templates" / "archive" / "archive.css").read_text(encoding="utf-8")
    return pages.style_sheet() + own


def style_source() -> str:
    """How a Content-Security-Policy names it."""
    return pages.style_hash(style_sheet())


def _render(page: str, newsletter: Newsletter, places: Places, **values: object) -> str:
    said = pages.page_words(newsletter.language, newsletter.address_form)
    names = {"newsletter": newsletter.name, "sender": newsletter.sender.name or newsletter.name}

    def say(key: str, **more: object) -> str:
        return said.say(f"page.{key}", **{**names, **more})

    return (
        pages.environment("archive")
        .get_template(page)
        .render(
            say=say,
            told=said.say,
            day=lambda text: said.weekday(date.fromisoformat(text)),
            day_month=lambda text: _day_month(said, text),
            language=newsletter.language,
            direction=said.direction,
            spoken=lambda one: language_attributes(one, newsletter.language) or Markup(' dir="auto"'),
            newsletter=newsletter,
            places=places,
            place_of=places.letter,
            style=Markup(style_sheet()),  # noqa: S704  our own files, not a visitor's words
            **values,
        )
    )


def _day_month(said: Words, text: str) -> str:
    """`29 november`, `November 29`."""
    return format_skeleton("MMMMd", date.fromisoformat(text), locale=said.locale)
