"""The public pages as HTML: one file each in `templates/pages`, no script. Their words stand in catalogues of
their own, `locale/LANGUAGE/LC_MESSAGES/pages.po`, with `pages.mo` beside it, made by

    pybabel compile --domain pages --directory emails/locale

A page is complete in itself: its style sheet stands inside it and is named by hash in the security policy,
and it loads nothing else, from us or from anyone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from gettext import GNUTranslations
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from emails.edition import Newsletter
from emails.words import UnknownLanguage, Words, words

DOMAIN: Final = "pages"
RHYTHMS: Final = ("week", "2 weeks", "month")
"""The values of `schedule.every` that a page can put into words."""


@cache
def page_words(language: str) -> Words:
    """The words of the pages in `language`. Raises `emails.words.UnknownLanguage`; a key that is in no
    catalogue raises `emails.words.MissingWord` when it is asked for."""
    letters = words(language)
    path = files("emails") / "locale" / letters.locale.language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    with path.open("rb") as stream:
        catalogue = GNUTranslations(stream)
    catalogue.add_fallback(letters.catalogue)
    return replace(letters, catalogue=catalogue)


def page_language(wanted: str, default: str) -> str:
    """`wanted` if there are words for it, else `default` (the newsletter's own language)."""
    if not wanted or len(wanted) > 35:
        return default
    try:
        return words(wanted).language
    except UnknownLanguage:
        return default


def consent_wording(newsletter: Newsletter, language: str, every: str) -> str:
    """The sentence above the sign-up button, exactly as shown: the evidence of consent holds it.

    `every` is one of `RHYTHMS`. Raises `emails.words.UnknownLanguage`, `emails.words.MissingWord`.
    """
    return page_words(language).say(f"page.consent.{_rhythm(every)}", **_names(newsletter))


def render_page(
    page: str, newsletter: Newsletter, language: str, *, every: str = "week", values: Mapping[str, object]
) -> str:
    """One page as HTML. `page` is a file of `templates/pages`; `values` is what that page varies by.

    Raises `emails.words.UnknownLanguage`, `emails.words.MissingWord`, and `jinja2.TemplateError` for a
    page that is not there.
    """
    said = page_words(language)
    names = _names(newsletter)

    def say(key: str, **more: object) -> str:
        return said.say(f"page.{key}", **{**names, **more})

    return (
        _environment()
        .get_template(f"{page}.html")
        .render(
            say=say,
            language=language,
            direction=said.direction,
            newsletter=newsletter,
            sender_name=names["sender"],
            contact=(newsletter.reply_to or newsletter.sender).address,
            rhythm=_rhythm(every),
            consent=consent_wording(newsletter, language, every),
            home=urlsplit(newsletter.url).path.rstrip("/"),
            style=Markup(style_sheet()),  # noqa: S704  our own file, not a visitor's words
            **values,
        )
    )


@cache
def style_sheet() -> str:
    """The one style sheet of all pages."""
    return (files("emails") / "templates" / "pages" / "style.css").read_text(encoding="utf-8")


@cache
def style_source() -> str:
    """How a Content-Security-Policy names that style sheet (CSP 3, `hash-source`)."""
    digest = hashlib.sha256(style_sheet().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("emails", "templates/pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _names(newsletter: Newsletter) -> dict[str, str]:
    return {"newsletter": newsletter.name, "sender": newsletter.sender.name or newsletter.name}


def _rhythm(every: str) -> str:
    if every not in RHYTHMS:
        raise ValueError(f"every: {every!r} is not one of {', '.join(RHYTHMS)}")
    return every.replace(" ", "_")
