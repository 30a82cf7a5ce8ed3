"""The words of the public pages: complete in every language, compiled from what stands beside them."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from emails.edition import Mailbox, Newsletter
from emails.pages import (
    DOMAIN,
    RHYTHMS,
    consent_wording,
    page_language,
    page_words,
    render_page,
    style_source,
)
from emails.words import MissingWord, UnknownLanguage, languages
from subscribers.pages import PageName

EMAILS = Path(str(files("emails")))
CATALOGUES = {path.parts[-3]: path for path in sorted((EMAILS / "locale").glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}
NEWSLETTER = Newsletter(
    name="<Weekbrief> & co",
    sender=Mailbox(address="brief@voorbeeld.example", name="Gerrit"),
    language="nl",
    address="Voorbeeldstraat 1\n1234 AB Utrecht",
    url="https://voorbeeld.example/brief",
)
VALUES: dict[str, dict[str, object]] = {"left": {"undo_url": "/brief/u/x/undo"}}


def entries(language: str) -> dict[str, str]:
    catalogue = read_po(io.BytesIO(CATALOGUES[language].read_bytes()))
    return {str(message.id): str(message.string) for message in catalogue if message.id}


def asked_for() -> set[str]:
    """Every key that a page can say: literal ones, and those made of a part and a rhythm."""
    text = "".join(path.read_text("utf-8") for path in sorted((EMAILS / "templates/pages").glob("*.html")))
    keys = {f"page.{key}" for key in re.findall(r'say\("([a-z_.]+[a-z_])"[,)]', text)}
    rhythmic = [*re.findall(r'say\("([a-z_.]+)\." ~ rhythm\)', text), "consent"]
    keys |= {f"page.{part}.{every.replace(' ', '_')}" for part in rhythmic for every in RHYTHMS}
    parts = re.search(r"for part in \(([^)]+)\)", text)
    assert parts is not None
    return keys | {
        f"page.privacy.{part}.{kind}"
        for part in re.findall(r'"([a-z_]+)"', parts[1])
        for kind in ("title", "text")
    }


def test_every_language_of_the_letter_has_its_pages() -> None:
    assert set(CATALOGUES) == set(languages()) >= {"nl", "en"}


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_word_is_missing_none_is_left_over_and_placeholders_agree(language: str) -> None:
    mine, english = entries(language), entries("en")
    assert set(mine) == asked_for()
    assert all(text.strip() for text in mine.values())
    for key, text in mine.items():
        assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", english[key])), key


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_compiled_catalogue_is_fresh(language: str) -> None:
    po = CATALOGUES[language]
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(po.read_bytes()), locale=language))
    assert po.with_suffix(".mo").read_bytes() == compiled.getvalue(), (
        f"run: pybabel compile --domain {DOMAIN} --directory emails/locale"
    )


@pytest.mark.fault(143)
@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("every", RHYTHMS)
def test_every_page_is_whole_in_every_language_and_names_are_escaped(language: str, every: str) -> None:
    for page in PageName:
        html = render_page(page, NEWSLETTER, language, every=every, values=VALUES.get(page, {}))
        assert html.startswith("<!DOCTYPE html>")
        assert f'<html lang="{language}" dir="ltr">' in html
        assert "<Weekbrief>" not in html
        assert "%(" not in html
        assert "{{" not in html
        assert not re.search(r"\bpage\.[a-z]", html)


def test_links_between_pages_keep_the_folder_that_the_newsletter_lives_in() -> None:
    html = render_page("over", NEWSLETTER, "nl", values={})
    assert 'href="/brief/join?language=nl"' in html
    assert 'href="/brief/privacy?language=nl"' in html


@pytest.mark.fault(156)
def test_the_policy_names_exactly_the_style_sheet_that_stands_in_the_page() -> None:
    html = render_page("join", NEWSLETTER, "nl", values={})
    styles = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    digest = hashlib.sha256(styles[0].encode()).digest()
    assert len(styles) == 1
    assert style_source() == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "style=" not in html


@pytest.mark.standard("G-02")
def test_the_wording_of_consent_names_sender_letter_rhythm_and_the_way_out() -> None:
    said = consent_wording(NEWSLETTER, "en", "2 weeks")
    for part in ("Gerrit", "<Weekbrief> & co", "every two weeks", "leave at any time"):
        assert part in said
    with pytest.raises(ValueError, match="'fortnight' is not one of week, 2 weeks, month"):
        consent_wording(NEWSLETTER, "en", "fortnight")


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("en", "en"),
        ("nl-BE", "nl-BE"),
        ("", "nl"),
        ("tlh", "nl"),
        ("x" * 9999, "nl"),
        ("../../etc", "nl"),
        ("e n", "nl"),
    ],
)
def test_a_language_without_words_falls_back_to_the_newsletters(wanted: str, given: str) -> None:
    assert page_language(wanted, "nl") == given


def test_a_missing_word_or_language_is_an_error() -> None:
    with pytest.raises(MissingWord, match=r"page\.nowhere"):
        page_words("nl").say("page.nowhere")
    with pytest.raises(UnknownLanguage):
        page_words("tlh")
