"""What a text is about, as far as words can tell: for pairing, and to see that a question was asked."""

from __future__ import annotations

import re

from pipeline.condense.language import Language


def likeness(one: str, other: str, language: Language) -> float:
    """How alike two questions are in meaning, 0 to 1: the share of themes they have in common."""
    mine, theirs = themes(one, language), themes(other, language)
    if not mine or not theirs:
        return 1.0 if one.split() == other.split() else 0.0
    return 2 * len(mine & theirs) / (len(mine) + len(theirs))


def themes(text: str, language: Language) -> frozenset[str]:
    """What a question is about: its meaningful words by their stems, or by their group of synonyms."""
    found = set()
    for word in re.findall(r"[^\W\d_]+", text.lower()):
        beginnings = (language.synonyms.get(f"{word[:n]}*") for n in range(len(word), 2, -1))
        group = language.synonyms.get(word) or next((name for name in beginnings if name), None)
        if group:
            found.add(group)
        elif len(word) >= 4 and word not in language.stop_words:
            found.add(word[:5])
    return frozenset(found)
