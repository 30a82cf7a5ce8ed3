"""The words of the public pages: complete in every language, compiled from what stands beside them."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from emails.delivery import DeliveryState
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
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.holdings import Received
from subscribers.preferences import PAUSES, frequencies
from subscribers.replies import PageName
from subscribers.subscriber import Frequency, Subscriber, SubscriberState
from subscribers.suppression import SuppressionReason

EMAILS = Path(str(files("emails")))
FILES = {path.parts[-3]: path for path in sorted((EMAILS / "locale").glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}
CATALOGUES = {name: path for name, path in FILES.items() if "@" not in name}
NEWSLETTER = Newsletter(
    name="<Weekbrief> & co",
    sender=Mailbox(address="brief@voorbeeld.example", name="Gerrit"),
    language="nl",
    address="Voorbeeldstraat 1\n1234 AB Utrecht",
    url="https://voorbeeld.example/brief",
)
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PREFERENCES: dict[str, object] = {"preferences_url": "/brief/u/x/preferences"}
OWN: dict[str, object] = {"own_url": "/brief/p/x"}


def subscriber(**changes: object) -> Subscriber:
    values = {
        "id": 7,
        "address": "lena@voorbeeld.example",
        "address_key": "lena@voorbeeld.example",
        "name": "<Lena>",
        "language": "nl",
        "state": SubscriberState.ACTIVE,
        "created_at": AT,
    }
    return Subscriber(**{**values, **changes})  # type: ignore[arg-type]


def all_that_is_held() -> dict[str, object]:
    """The page with everything on it that it can say."""
    consents = [
        ConsentRecord(
            kind=kind,
            wording="<b>",
            source="page",
            page="",
            language="en",
            occurred_at=AT,
            network="203.0.113.0/24",
        )
        for kind in ConsentKind
    ]
    letters = [
        Received(day="2026-11-22", question="<q>", state=state, reason="", address="", name="", message="")
        for state in DeliveryState
    ]
    return {
        **PREFERENCES,
        **OWN,
        "person": subscriber(),
        "active": True,
        "dates": [(kind, AT.date()) for kind in ("asked", "confirmed", "left")],
        "paused_until": AT.date(),
        "stops": list(SuppressionReason),
        "consents": [(record, AT.date()) for record in consents],
        "letters": [(AT.date(), letter) for letter in letters],
        "older": True,
        "done": "renamed",
        "wrong": True,
    }


VALUES: dict[str, dict[str, object]] = {
    "leave": PREFERENCES,
    "left": {**PREFERENCES, "undo_url": "/brief/u/x/undo"},
    "preferences": {
        **PREFERENCES,
        "leave_url": "/brief/u/x",
        "active": True,
        "paused_until": None,
        "pauses": PAUSES,
        "frequency": "second",
        "frequencies": frequencies("week"),
        "done": "saved",
    },
    "link": PREFERENCES,
    "own": all_that_is_held(),
    "move_asked": OWN,
    "erase": OWN,
}


TOLD_AS_U = {"page.join.wrong"}
"""Words that change though they name nobody: a verb that turns to whoever reads."""
MADE_OF_PARTS: dict[str, Iterable[object]] = {
    "pause": PAUSES,
    "often": Frequency,
    "own.state": set(SubscriberState) - {SubscriberState.ERASED},
    "own.date": ("asked", "confirmed", "left"),
    "own.stop": SuppressionReason,
    "own.consent": ConsentKind,
    "own.letter": DeliveryState,
}
"""The beginnings of keys that a page puts together, and the kinds they can end in."""


def entries(language: str) -> dict[str, str]:
    catalogue = read_po(io.BytesIO(FILES[language].read_bytes()))
    return {str(message.id): str(message.string) for message in catalogue if message.id}


def asked_for() -> set[str]:
    """Every key that a page can say: literal ones, and those made of a part and a rhythm."""
    keys_in = [*(EMAILS / "templates/pages").glob("*.html"), *(EMAILS / "templates/archive").glob("*.html")]
    text = "".join(path.read_text("utf-8") for path in sorted(keys_in))
    keys = {f"page.{key}" for key in re.findall(r'say\("([a-z_.]+[a-z_])"[,)]', text)}
    rhythmic = [*re.findall(r'say\("([a-z_.]+)\." ~ rhythm\)', text), "consent"]
    keys |= {f"page.{part}.{every.replace(' ', '_')}" for part in rhythmic for every in RHYTHMS}
    for part, kinds in MADE_OF_PARTS.items():
        keys |= {f"page.{part}.{kind}" for kind in kinds}
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


def test_every_key_that_is_put_together_is_known_here() -> None:
    """A page that puts a key together in another way escapes the test above."""
    text = "".join(path.read_text("utf-8") for path in sorted((EMAILS / "templates/pages").glob("*.html")))
    begun = {
        key
        for key, name in re.findall(r'say\("([a-z_.]+)\." ~ ([a-z_.]+)', text)
        if name not in {"rhythm", "part"}
    }
    assert begun - {"privacy"} == set(MADE_OF_PARTS)


@pytest.mark.standard("L-06")
def test_who_is_called_u_is_called_u_on_every_page() -> None:
    formal, plain = entries("nl@u"), entries("nl")
    intimate = re.compile(r"\b(je|jij|jou|jouw|jezelf|jijzelf)\b", re.IGNORECASE)
    assert set(formal) == {key for key, text in plain.items() if intimate.search(text)} | TOLD_AS_U
    for key, text in formal.items():
        assert not intimate.search(text), key
        assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", plain[key])), key
    letter = replace(NEWSLETTER, address_form="u")
    for page in PageName:
        html = render_page(page, letter, "nl", values=VALUES.get(page, {}))
        shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
        assert not intimate.search(shown), page
    assert "Wilt u zich afmelden?" in render_page("leave", letter, "nl", values=PREFERENCES)
    assert "Would you like" in render_page("leave", letter, "en", values=PREFERENCES)


@pytest.mark.parametrize("language", FILES)
def test_the_compiled_catalogue_is_fresh(language: str) -> None:
    po = FILES[language]
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(po.read_bytes()), locale=language.partition("@")[0]))
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
