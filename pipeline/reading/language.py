"""Which language a text is in, when nobody says so."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

SAMPLE = 600
"""Characters looked at in the beginning, in the middle and near the end."""
ENOUGH = 80
"""Characters below which a guess is worth less than the source's own language."""
SURE = 0.5
VERY_SURE = 0.8
LIKELY = ("nl", "en", "de", "fr", "es")
"""Languages that a doubtful guess is checked against: short Dutch looks like Afrikaans to a machine."""
_FUNCTION_WORDS = {
    "nl": "ik een niet zijn naar heeft hij zij jij jouw wordt werd deze mijn hebben geen zou zich "
    "kunnen altijd iets alleen worden waren hun bij tegen zonder voor wij jou uit veel zo om te "
    "dan ze",
    "en": "the and of to you that it for with are this have not your but they what from or as be by we "
    "she his her had who would there",
    "de": "der und das ist nicht ich sie ein eine einen mit auf dem zu wir auch sich für von wenn aber "
    "wie noch nur oder dass wird habe hat sind",
    "fr": "et est des une dans pour pas qui sur vous elle nous avec mais ce cette ne plus être ont sont "
    "comme tout aux leur même où",
    "es": "el los las y una pero más muy su sus cuando sin también porque hay nos ella como esto eso "
    "esta ese está fue era por",
}
"""The small words of `LIKELY`, without those that a neighbour (Afrikaans, Catalan, Italian) is full of."""
_WORDS_OF = {code: frozenset(words.split()) for code, words in _FUNCTION_WORDS.items()}
_MANY_WORDS = 60
_OF_THEIRS = 0.11
"""Share of a plain text that these words make up at least. Real posts have 0.12 to 0.37; Portuguese and
Catalan reach 0.06 of the Spanish ones, Afrikaans 0.07 of the Dutch, Danish 0.09."""
_DIFFERENT = 10
_BY_CHANCE = 4
"""So many different small words of another language can stand in a text by chance."""


@cache
def _identifier() -> Any:
    """py3langid with its model: half a second and 100 MB, so only for texts that are in doubt."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped] # no stubs

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify(text: str) -> str | None:
    """The two-letter code of the language of `text`, or None when it is too short or unclear to tell."""
    sample = _sample(text)
    if len(sample.strip()) < ENOUGH:
        return None
    plain = _by_small_words(sample)
    if plain is not None:
        return plain
    code, confidence = _identifier().classify(sample)
    if code not in LIKELY and confidence < VERY_SURE:
        ranked = _identifier().rank(sample)
        code, confidence = next((found for found in ranked if found[0] in LIKELY), (code, confidence))
        return str(code) if confidence >= SURE / 5 else None
    return str(code) if confidence >= SURE else None


def _by_small_words(sample: str) -> str | None:
    """The language whose small words fill the text, when it is plain that there is no other in it."""
    words = re.findall(r"[^\W\d_]+", sample.lower())
    if len(words) < _MANY_WORDS:
        return None
    found = {code: [word for word in words if word in known] for code, known in _WORDS_OF.items()}
    best = max(found, key=lambda code: len(found[code]))
    others = [hits for code, hits in found.items() if code != best]
    clear = all(len(set(hits)) <= _BY_CHANCE and len(hits) * 4 <= len(found[best]) for hits in others)
    enough = len(found[best]) >= _OF_THEIRS * len(words) and len(set(found[best])) >= _DIFFERENT
    return best if clear and enough else None


def _sample(text: str) -> str:
    if len(text) <= 3 * SAMPLE:
        return text
    middle = len(text) // 2
    return " ".join((text[:SAMPLE], text[middle : middle + SAMPLE], text[-2 * SAMPLE : -SAMPLE]))


def two_letters(code: str) -> str:
    """`nl-NL`, `nl_BE`, `NL` → `nl`; empty for what is no language code."""
    head = code.strip().replace("_", "-").split("-")[0].lower()
    return head if len(head) == 2 and head.isascii() and head.isalpha() else ""
