"""Words: every catalogue is complete, compiled from what stands beside it, and never borrows a language."""

from __future__ import annotations

import io
import re
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from emails.words import DOMAIN, MissingWord, UnknownLanguage, direction, languages, words

ROOT = Path(__file__).parents[2]
LOCALE = Path(str(files("emails"))) / "locale"
CATALOGUES = {path.parts[-3]: path for path in sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}
LETTERS = ("partials", "designs", "weekly", "confirm")
KEYS_MADE_OF_PARTS = {"confirm.every_week", "confirm.every_two_weeks", "confirm.every_month"}


def asked_for() -> set[str]:
    """Every key that a template or a module says, read from their sources."""
    said = re.compile(r"\b(?:say|count|raw|raw_count)\(\s*[\"']([a-z_]+\.[a-z_]+)[\"']")
    named = re.compile(r"[\"']((?:letter|preheader|footer|confirm)\.[a-z_]+)[\"']")
    sources = [
        *(path for folder in LETTERS for path in (ROOT / "emails/templates" / folder).rglob("*.*")),
        ROOT / "emails/render.py",
        ROOT / "pipeline/compose.py",
    ]
    found = {
        key
        for path in sources
        for pattern in (said, named)
        for key in pattern.findall(path.read_text("utf-8"))
    }
    return found | KEYS_MADE_OF_PARTS


def test_dutch_and_english_are_shipped() -> None:
    assert {"nl", "en"} <= set(languages())
    assert set(languages()) == set(CATALOGUES)


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.standard("L-04")
def test_no_word_is_missing_and_none_is_left_over(language: str) -> None:
    catalogue = read_po(io.BytesIO(CATALOGUES[language].read_bytes()))
    keys = {
        message.id if isinstance(message.id, str) else message.id[0] for message in catalogue if message.id
    }
    assert keys == asked_for()
    for message in catalogue:
        if message.id:
            strings = [message.string] if isinstance(message.string, str) else list(message.string)
            assert all(text.strip() for text in strings), f"{language}: {message.id} is empty"
            assert not message.fuzzy, f"{language}: {message.id} is marked as a guess"


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_language_fills_the_same_placeholders(language: str) -> None:
    english = read_po(io.BytesIO(CATALOGUES["en"].read_bytes()))
    catalogue = read_po(io.BytesIO(CATALOGUES[language].read_bytes()))
    for message in english:
        if message.id:
            other = catalogue.get(message.id if isinstance(message.id, str) else message.id[0])
            assert other is not None
            assert _placeholders(other.string) == _placeholders(message.string), message.id


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_compiled_catalogue_is_fresh(language: str) -> None:
    po = CATALOGUES[language]
    compiled = read_mo(io.BytesIO(po.with_suffix(".mo").read_bytes()))
    written = read_po(io.BytesIO(po.read_bytes()), locale=language)
    assert _said(compiled) == _said(written), (
        f"run: pybabel compile --domain {DOMAIN} --directory emails/locale"
    )


@pytest.mark.standard("L-04")
def test_a_missing_word_is_an_error_and_not_another_language() -> None:
    with pytest.raises(MissingWord, match=r"nl .*letter\.nowhere"):
        words("nl").say("letter.nowhere")
    with pytest.raises(MissingWord, match="plural"):
        words("nl").count("letter.nowhere", 2)


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(UnknownLanguage, match=r"'tlh'.*choose one of .*en.*nl"):
        words("tlh")
    with pytest.raises(UnknownLanguage, match="choose one of"):
        words("sv")


@pytest.mark.standard("L-04")
@pytest.mark.parametrize(
    ("language", "day"),
    [
        ("nl", "29 november 2026"),
        ("nl-BE", "29 november 2026"),
        ("en", "November 29, 2026"),
        ("en-GB", "29 November 2026"),
        ("de", "29. November 2026"),
        ("fr", "29 novembre 2026"),
        ("es", "29 de noviembre de 2026"),
    ],
)
def test_dates_follow_the_language(language: str, day: str) -> None:
    assert words(language).day(date(2026, 11, 29)) == day


@pytest.mark.standard("L-04")
@pytest.mark.parametrize(
    ("language", "one", "many", "none"),
    [
        ("nl", "1 minuut lezen", "4 minuten lezen", "0 minuten lezen"),
        ("fr", "1 minute de lecture", "4 minutes de lecture", "0 minute de lecture"),
    ],
)
def test_plurals_follow_the_language(language: str, one: str, many: str, none: str) -> None:
    said = [words(language).count("letter.minutes", number) for number in (1, 4, 0)]
    assert said == [one, many, none]


@pytest.mark.parametrize(
    ("language", "way"), [("nl", "ltr"), ("ar", "rtl"), ("he", "rtl"), ("xx-unknown", "ltr")]
)
def test_direction(language: str, way: str) -> None:
    assert direction(language) == way


@pytest.mark.standard("L-04")
@pytest.mark.parametrize("language", [name for name in CATALOGUES if name != "en"])
def test_no_english_word_in_another_language(language: str) -> None:
    english = {"you", "your", "the", "unsubscribe", "letter", "read", "regards", "and", "confirm"}
    catalogue = read_po(io.BytesIO(CATALOGUES[language].read_bytes()))
    for message in catalogue:
        strings = message.string if isinstance(message.string, (list, tuple)) else [message.string or ""]
        said = {
            word for text in strings for word in re.findall(r"[a-z]+", re.sub(r"%\(\w+\)s", "", text.lower()))
        }
        assert message.id == "" or not said & english, message.id


def _said(catalogue: Catalog) -> dict[str, tuple[str, ...]]:
    """Key to translation, or translations where there is a plural."""
    return {
        message.id if isinstance(message.id, str) else message.id[0]: (message.string,)
        if isinstance(message.string, str)
        else tuple(message.string)
        for message in catalogue
        if message.id
    }


def _placeholders(strings: str | list[str] | tuple[str, ...]) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", strings if isinstance(strings, str) else " ".join(strings)))
