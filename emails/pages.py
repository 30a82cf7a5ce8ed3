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
from emails.words import UnknownLanguage, Words, languages, words

DOMAIN: Final = "pages"
RHYTHMS: Final = ("week", "2 weeks", "month")
"""The values of `schedule.every` that a page can put into words."""


@cache
def page_words(language: str, form: str = "") -> Words:
    """The words of the pages in `language`; `form` as in `emails.words.words`. Raises
    `emails.words.UnknownLanguage`; a key that is in no catalogue raises `emails.words.MissingWord` when it is
    asked for."""
    letters = words(language, form)
    plain, formed = (
        _catalogue(name) for name in (letters.locale.language, f"{letters.locale.language}@{form}")
    )
    assert plain is not None, "a language of the letters has its pages"
    plain.add_fallback(letters.catalogue)
    if formed is not None:
        formed.add_fallback(plain)
    return replace(letters, catalogue=formed or plain)


def _catalogue(name: str) -> GNUTranslations | None:
    path = files("emails") / "locale" / name / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return GNUTranslations(stream)


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
    said = page_words(language, newsletter.address_form)
    return said.say(f"page.consent.{_rhythm(every)}", **_names(newsletter))


def confirm_wording(newsletter: Newsletter, language: str, every: str) -> str:
    """What the confirmation page says above its button, and the button: the second half of the evidence."""
    said = page_words(language, newsletter.address_form)
    names = _names(newsletter)
    return f"{said.say(f'page.confirm.text.{_rhythm(every)}', **names)} {said.say('page.confirm.button')}"


def move_wording(newsletter: Newsletter, language: str) -> str:
    """What the page that confirms a new address says above its button, and the button: evidence as well. It
    names no address: evidence cannot be changed, and an address must be able to go."""
    said = page_words(language, newsletter.address_form)
    return f"{said.say('page.move.text', **_names(newsletter))} {said.say('page.move.button')}"


@cache
def own_names() -> tuple[tuple[str, str], ...]:
    """Each language there are words for, by its code and as its speakers call it."""
    with_pages = (code for code in languages() if _catalogue(code))
    named = ((code, words(code).locale.get_display_name(code) or code) for code in with_pages)
    return tuple((code, name[:1].upper() + name[1:]) for code, name in named)


def render_page(
    page: str, newsletter: Newsletter, language: str, *, every: str = "week", values: Mapping[str, object]
) -> str:
    """One page as HTML. `page` is a file of `templates/pages`; `values` is what that page varies by.

    Raises `emails.words.UnknownLanguage`, `emails.words.MissingWord`, and `jinja2.TemplateError` for a
    page that is not there.
    """
    said = page_words(language, newsletter.address_form)
    names = _names(newsletter)

    def say(key: str, **more: object) -> str:
        return said.say(f"page.{key}", **{**names, **more})

    return (
        environment("pages")
        .get_template(f"{page}.html")
        .render(
            say=say,
            day=said.day,
            languages=own_names(),
            spoken=said.locale.language,
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


def signup_form(newsletter: Newsletter, language: str, *, every: str = "week") -> str:
    """The sign-up form by itself, for a page of another site.

    Raises `emails.words.UnknownLanguage` and `emails.words.MissingWord`.
    """
    said = page_words(language, newsletter.address_form)
    return (
        environment("pages")
        .get_template("form.html")
        .render(
            say=lambda key: said.say(f"page.{key}", **_names(newsletter)),
            language=language,
            newsletter=newsletter,
            action=f"{newsletter.url}/join",
            consent=consent_wording(newsletter, language, every),
        )
    )


@cache
def style_sheet() -> str:
    """The one style sheet of all pages."""
    return (files("emails") / "templates" / "pages" / "style.css").read_text(encoding="utf-8")


@cache
def style_source() -> str:
    """How a Content-Security-Policy names that style sheet (CSP 3, `hash-source`)."""
    return style_hash(style_sheet())


@cache
def style_hash(sheet: str) -> str:
    """How a policy names any sheet of ours."""
    digest = hashlib.sha256(sheet.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def environment(folder: str) -> Environment:
    """The templates of one folder of `templates`."""
    return Environment(
        loader=PackageLoader("emails", f"templates/{folder}"),
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
