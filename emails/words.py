"""Words that readers see, by language: gettext catalogues in `emails/locale`, dates and direction from CLDR.

A catalogue is `locale/LANGUAGE/LC_MESSAGES/letters.po`, written by people, with `letters.mo` beside it,
made by

    pybabel compile --domain letters --directory emails/locale

`locale/nl@u` holds only what differs from `nl` when readers are addressed as `u`.

Keys are names such as `footer.why`, so that English is a translation like any other and a missing word can
never show up as a word of another language.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NoReturn

from babel import Locale, UnknownLocaleError
from babel.dates import format_date

DOMAIN = "letters"
_FOLDERS: list[Traversable] = [files("emails") / "locale"]


class UnknownLanguage(ValueError):
    """There is no catalogue for a language."""


class MissingWord(LookupError):
    """A catalogue lacks a word: a fault in weekbrief, never papered over with another language."""


@dataclass(frozen=True, slots=True)
class Words:
    """All reader-facing words of one language. Get one from `words`."""

    language: str
    """BCP 47 tag, as asked for."""
    catalogue: NullTranslations
    locale: Locale

    def raw(self, key: str) -> str:
        """The translation of `key` with its placeholders unfilled. Raises `MissingWord`."""
        return self.catalogue.gettext(key)

    def raw_count(self, key: str, number: int) -> str:
        """The plural form of `key` that fits `number`, unfilled. Raises `MissingWord`."""
        return self.catalogue.ngettext(key, key, number)

    def say(self, key: str, **values: object) -> str:
        """`key` in this language with `%(name)s` filled in. Raises `MissingWord`."""
        return self.raw(key) % values

    def count(self, key: str, number: int, **values: object) -> str:
        """As `say`, in the plural form for `number`, which is also the value `count`."""
        return self.raw_count(key, number) % {"count": number, **values}

    def day(self, day: date) -> str:
        """A date as people write it: `29 november 2026`, `November 29, 2026`."""
        return format_date(day, format="long", locale=self.locale)

    def weekday(self, day: date) -> str:
        """A date with its day: `zondag 29 november 2026`, `Sunday, November 29, 2026`."""
        return format_date(day, format="full", locale=self.locale)

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return direction(self.language)


def direction(language: str) -> str:
    """`ltr` or `rtl`, the way a language (BCP 47) is written by CLDR; an unknown one counts as `ltr`."""
    try:
        order = Locale.parse(language, sep="-").character_order
    except (ValueError, UnknownLocaleError):
        return "ltr"
    return "rtl" if order == "right-to-left" else "ltr"


@cache
def words(language: str, form: str = "") -> Words:
    """The words of `language`, a BCP 47 tag; a regional tag such as `nl-BE` uses the catalogue of `nl`.

    `form` is how a reader is addressed where a language has a catalogue for it (`nl@u`); other languages
    have one form. Raises `UnknownLanguage`, naming the languages there are.
    """
    try:
        locale = Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise UnknownLanguage(_unknown(language)) from error
    if locale.language not in languages():
        raise UnknownLanguage(_unknown(language))
    return Words(language=language, catalogue=_catalogue(locale.language, form), locale=locale)


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a catalogue, sorted."""
    found = {
        entry.name
        for folder in _FOLDERS
        for entry in folder.iterdir()
        if "@" not in entry.name and _compiled(folder, entry.name).is_file()
    }
    return tuple(sorted(found))


@contextmanager
def more_catalogues(folder: Traversable) -> Iterator[None]:
    """For the block, languages of `folder` (laid out as `emails/locale`) count too.

    Not for threads: it holds for the whole program.
    """
    _FOLDERS.append(folder)
    forget()
    try:
        yield
    finally:
        _FOLDERS.remove(folder)
        forget()


def forget() -> None:
    """Read catalogues anew when they are asked for next."""
    words.cache_clear()
    languages.cache_clear()


def _catalogue(language: str, form: str) -> NullTranslations:
    plain = _read(language)
    assert plain is not None, "asked for a language that `languages` does not name"
    plain.add_fallback(_NoWord(language))
    formed = _read(f"{language}@{form}") if form else None
    if formed is None:
        return plain
    formed.add_fallback(plain)
    return formed


def _read(name: str) -> NullTranslations | None:
    path = next((p for p in (_compiled(folder, name) for folder in _FOLDERS) if p.is_file()), None)
    if path is None:
        return None
    with path.open("rb") as stream:
        return GNUTranslations(stream)


def _compiled(folder: Traversable, name: str) -> Traversable:
    return folder / name / "LC_MESSAGES" / f"{DOMAIN}.mo"


class _NoWord(NullTranslations):
    """What gettext asks when a catalogue has no answer."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language

    def gettext(self, message: str) -> NoReturn:
        raise MissingWord(f"the {self.language} catalogue has no word for {message!r}")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> NoReturn:
        raise MissingWord(f"the {self.language} catalogue has no plural for {msgid1!r} ({n})")


def _unknown(language: str) -> str:
    return f"there are no words for language {language!r}; choose one of {', '.join(languages())}"
