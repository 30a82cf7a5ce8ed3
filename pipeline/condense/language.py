"""What the condenser knows of a language: word lists and patterns from `languages/*.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib import resources
from typing import Any

import yaml


class BadLanguageFile(ValueError):
    """A language file lacks a list or holds a pattern that is none. The message names file and list."""


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words and phrases; `*` in an entry stands for any letters."""

    single: frozenset[str]
    longer: re.Pattern[str] | None

    def found(self, words: frozenset[str], lower: str) -> bool:
        """True when one of them stands in a text, given as its set of words and in lower case."""
        if not self.single.isdisjoint(words):
            return True
        return self.longer is not None and self.longer.search(lower) is not None

    def count(self, words: frozenset[str], lower: str) -> int:
        """How many different entries stand in a text (each prefix or phrase once per place)."""
        hits = len(self.single & words)
        return hits + (len(set(self.longer.findall(lower))) if self.longer is not None else 0)


def compile_words(entries: Iterable[str]) -> Words:
    """A `Words` of entries such as `voel*`, `laat los`, `droom`."""
    single, longer = set(), []
    for entry in entries:
        plain = entry.strip().lower()
        if re.fullmatch(r"[^\W_]+(?:['.][^\W_]+)*'?", plain):
            single.add(plain)
        else:
            longer.append(re.escape(plain).replace(r"\*", r"\w*").replace(r"\ ", r"[ \u00a0]"))
    pattern = (
        re.compile(rf"(?<!\w)(?:{'|'.join(sorted(longer, key=len, reverse=True))})(?!\w)") if longer else None
    )
    return Words(frozenset(single), pattern)


@dataclass(frozen=True)
class Patterns:
    """Regular expressions over a text in lower case; matched as one, made when first asked for."""

    place: str
    """File and list, for a message."""
    entries: tuple[str, ...]

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Raises BadLanguageFile."""
        try:
            return re.compile("|".join(f"(?:{entry})" for entry in self.entries)) if self.entries else None
        except re.error as error:
            raise BadLanguageFile(f"{self.place} holds no valid pattern: {error}") from error

    def found(self, lower: str) -> bool:
        return self.pattern is not None and self.pattern.search(lower) is not None

    def count(self, lower: str) -> int:
        """How many places match."""
        return sum(1 for _ in self.pattern.finditer(lower)) if self.pattern is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language file. docs/condensing.md explains what each list is for."""

    code: str
    name: str
    abbreviations: frozenset[str]
    ordinal_words: frozenset[str]
    """Words that follow an ordinal number written with a full stop: German `3. Januar`."""
    second_person: Words
    second_person_patterns: Patterns
    second_person_cased_patterns: Patterns
    """Like the other, but matched with its capital letters: German `Sie`."""
    first_person: Words
    we: Words
    open_words: Words
    joining_words: Words
    declarative_patterns: Patterns
    self: Words
    reflective: Words
    lead_ins: Words
    leaning_patterns: Patterns
    pointing_patterns: Patterns
    rhetorical_patterns: Patterns
    knowledge_patterns: Patterns
    definition_patterns: Patterns
    howto_patterns: Patterns
    why_words: Words
    because_patterns: Patterns
    what_if_patterns: Patterns
    answer_start_patterns: Patterns
    advice_start_patterns: Patterns
    offer_words: Words
    offer_patterns: Patterns
    pain_patterns: Patterns
    comment_patterns: Patterns
    faq_patterns: Patterns
    signup_patterns: Patterns
    sources_patterns: Patterns
    teaser_patterns: Patterns
    said: Words
    example_markers: re.Pattern[str]
    supposing_words: Words
    about_post_patterns: Patterns
    then_words: Words
    leaning_words: Words
    example_cues: Words
    scene_patterns: Patterns
    time_patterns: Patterns
    past: Words
    past_patterns: Patterns
    perfect_patterns: Patterns
    third_person: Words
    people: Words
    concrete: Words
    advice_patterns: Patterns
    general_patterns: Patterns
    technical_words: Words
    time_bound_patterns: Patterns
    today_words: Words
    inside_patterns: Patterns
    two_questions_patterns: Patterns
    closed_patterns: Patterns
    synonyms: Mapping[str, str]
    """A word, or the beginning of one with `*`, → the name of its group."""
    stop_words: frozenset[str]


_OPTIONAL = {"ordinal_words", "past_patterns", "second_person_patterns", "second_person_cased_patterns"}


@cache
def known_languages() -> tuple[str, ...]:
    """The codes of the languages we have a file for, sorted."""
    folder = resources.files("pipeline.condense").joinpath("languages")
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


@cache
def load_language(code: str) -> Language | None:
    """What we know of the language `code` (two letters), or None when there is no file for it.

    Raises BadLanguageFile.
    """
    if code not in known_languages():
        return None
    source = resources.files("pipeline.condense").joinpath("languages", f"{code}.yaml").read_text("utf-8")
    return build_language(code, yaml.load(source, Loader=_text_loader()))  # noqa: S506 - a SafeLoader


@cache
def _text_loader() -> type[yaml.SafeLoader]:
    """A safe loader that reads `no`, `on` and `1` as the words they are; in C where it can be."""

    class TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    return TextLoader


def build_language(code: str, raw: dict[str, Any]) -> Language:
    """A `Language` from a language file's content. Raises BadLanguageFile."""
    values: dict[str, Any] = {"code": code}
    for item in fields(Language):
        if item.name == "code":
            continue
        if item.name not in raw and item.name not in _OPTIONAL:
            raise BadLanguageFile(f"{code}.yaml: the list `{item.name}` is missing")
        values[item.name] = _build(f"{code}.yaml", item.name, raw.get(item.name, []))
    if unknown := set(raw) - set(values):
        raise BadLanguageFile(f"{code}.yaml: unknown list {', '.join(sorted(unknown))}")
    return Language(**values)


def _build(file: str, name: str, value: Any) -> object:
    if name == "name":
        return str(value)
    if name == "synonyms":
        return {entry.lower(): group[0].lower() for group in value for entry in group}
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise BadLanguageFile(f"{file}: `{name}` must be a list of words")
    if name in {"abbreviations", "ordinal_words", "stop_words"}:
        return frozenset(entry.lower() for entry in value)
    if name == "example_markers":
        return _markers(value)
    if name.endswith("_patterns"):
        return Patterns(f"{file}: `{name}`", tuple(value))
    return compile_words(value)


def _markers(entries: list[str]) -> re.Pattern[str]:
    """Matches a line that is labelled as an example: `Voorbeeld:`, `Beispiel 2 –`, `(Example)`."""
    names = "|".join(re.escape(entry.lower()).replace(r"\ ", r"[ \u00a0]") for entry in entries)
    return re.compile(
        rf"\W{{0,8}}(?:{names})[ \u00a0]?(?:\d{{1,2}}|[a-z](?=[ \u00a0]?[:：]))?[ \u00a0]?"
        rf"(?:[:：.]|[–—-](?=[ \u00a0]))[*_ \u00a0]*"
    )
