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
from tests.arabic import arabic_words

ROOT = Path(__file__).parents[2]
LOCALE = Path(str(files("emails"))) / "locale"
FILES = {path.parts[-3]: path for path in sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}
CATALOGUES = {name: path for name, path in FILES.items() if "@" not in name}
LETTERS = ("partials", "designs", "weekly", "notice")
KEYS_MADE_OF_PARTS = {
    *(f"confirm.{every}" for every in ("every_week", "every_two_weeks", "every_month")),
    *(f"report.{verdict}" for verdict in ("sent", "partial", "nothing")),
    *(f"{kind}.subject{short}" for kind in ("confirm", "welcome") for short in ("", "_short")),
}


def asked_for() -> set[str]:
    """Every key that a template or a module says, read from their sources."""
    said = re.compile(r"\b(?:say|count|raw|raw_count)\(\s*[\"']([a-z_]+\.[a-z_]+)[\"']")
    kinds = "letter|preheader|footer|confirm|welcome|data|change|draft|held|report"
    named = re.compile(rf"[\"']((?:{kinds})\.[a-z_]+)[\"']")
    sources = [
        *(path for folder in LETTERS for path in (ROOT / "emails/templates" / folder).rglob("*.*")),
        ROOT / "emails/render.py",
        ROOT / "emails/notices.py",
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


@pytest.mark.parametrize("language", FILES)
def test_the_compiled_catalogue_is_fresh(language: str) -> None:
    po = FILES[language]
    compiled = read_mo(io.BytesIO(po.with_suffix(".mo").read_bytes()))
    written = read_po(io.BytesIO(po.read_bytes()), locale=language.partition("@")[0])
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


JE = {"je", "jij", "jou", "jouw", "jezelf", "jijzelf"}
U = {"u", "uw", "uzelf"}


@pytest.mark.standard("L-06")
def test_dutch_letters_use_one_form_of_address_throughout() -> None:
    plain = read_po(io.BytesIO(FILES["nl"].read_bytes()))
    formal = read_po(io.BytesIO(FILES["nl@u"].read_bytes()))
    changed = {message.id: _spoken(message.string) for message in formal if message.id}
    for message in plain:
        if message.id and isinstance(message.id, str):
            said = _spoken(message.string)
            assert not said & U, message.id
            assert (message.id in changed) == bool(said & JE) or message.id in changed, message.id
    for key, said in changed.items():
        assert not said & JE, key
        assert plain.get(key) is not None, f"{key} is in no letter"
    assert len(changed) > 30


@pytest.mark.standard("L-06")
def test_the_form_of_address_is_a_setting() -> None:
    assert words("nl").say("footer.unsubscribe") == "Schrijf je uit"
    assert words("nl", "u").say("footer.unsubscribe") == "Schrijf u uit"
    assert words("nl", "u").say("letter.example") == "Een voorbeeld", "what does not differ is said once"
    assert words("en", "u").say("footer.unsubscribe") == "Unsubscribe"
    with pytest.raises(MissingWord):
        words("nl", "u").say("letter.nowhere")


@pytest.mark.standard("L-04")
def test_arabic_plurals_and_dates() -> None:
    with arabic_words():
        tongue = words("ar")
        said = {number: tongue.count("letter.minutes", number) for number in (0, 1, 2, 3, 11, 100)}
        assert len(set(said.values())) == 6, "Arabic has six plural forms"
        assert said[3] == "3 دقائق للقراءة"
        assert "نوفمبر" in tongue.day(date(2026, 11, 29))
        assert tongue.direction == "rtl"
        assert "ar" in languages()
    assert "ar" not in languages()


def _spoken(strings: str | list[str] | tuple[str, ...]) -> set[str]:
    text = strings if isinstance(strings, str) else " ".join(strings)
    return set(re.findall(r"\w+", re.sub(r"%\(\w+\)s", "", text.lower())))


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
