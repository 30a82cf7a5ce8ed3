"""Which language a text is in, when nobody says so."""

from __future__ import annotations

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped] # no stubs

SAMPLE = 600
"""Characters looked at in the beginning, in the middle and near the end."""
ENOUGH = 80
"""Characters below which a guess is worth less than the source's own language."""
SURE = 0.5
VERY_SURE = 0.8
LIKELY = ("nl", "en", "de", "fr", "es")
"""Languages that a doubtful guess is checked against: short Dutch looks like Afrikaans to a machine."""


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify(text: str) -> str | None:
    """The two-letter code of the language of `text`, or None when it is too short or unclear to tell."""
    sample = _sample(text)
    if len(sample.strip()) < ENOUGH:
        return None
    code, confidence = _identifier().classify(sample)
    if code not in LIKELY and confidence < VERY_SURE:
        ranked = _identifier().rank(sample)
        code, confidence = next((found for found in ranked if found[0] in LIKELY), (code, confidence))
        return str(code) if confidence >= SURE / 5 else None
    return str(code) if confidence >= SURE else None


def _sample(text: str) -> str:
    if len(text) <= 3 * SAMPLE:
        return text
    middle = len(text) // 2
    return " ".join((text[:SAMPLE], text[middle : middle + SAMPLE], text[-2 * SAMPLE : -SAMPLE]))


def two_letters(code: str) -> str:
    """`nl-NL`, `nl_BE`, `NL` → `nl`; empty for what is no language code."""
    head = code.strip().replace("_", "-").split("-")[0].lower()
    return head if len(head) == 2 and head.isascii() and head.isalpha() else ""
