"""What a text is about, as far as words can tell: for pairing, and to see that a question was asked."""

from __future__ import annotations

import re
from functools import lru_cache

from pipeline.condense.language import Language, load_language


def likeness(one: str, other: str, language: Language) -> float:
    """How alike two questions are in meaning, 0 to 1: the share of themes they have in common."""
    mine, theirs = themes(one, language), themes(other, language)
    if not mine or not theirs:
        return 1.0 if one.split() == other.split() else 0.0
    return 2 * len(mine & theirs) / (len(mine) + len(theirs))


def themes(text: str, language: Language) -> frozenset[str]:
    """What a text is about: its meaningful words by their stems, or by their group of synonyms."""
    found = (_theme(word, language.code) for word in re.findall(r"[^\W\d_]+", text.lower()))
    return frozenset(theme for theme in found if theme)


@lru_cache(maxsize=50_000)
def _theme(word: str, code: str) -> str:
    """The group or stem of a word; empty for a word that carries no theme."""
    language = load_language(code)
    if language is None:
        return ""
    beginnings = (language.synonyms.get(f"{word[:n]}*") for n in range(len(word), 2, -1))
    group = language.synonyms.get(word) or next((name for name in beginnings if name), None)
    if group:
        return group
    return word[:5] if len(word) >= 4 and word not in language.stop_words else ""
