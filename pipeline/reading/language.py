"""Which language a text is in, when nobody says so."""

from __future__ import annotations

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped] # it has no stubs

SAMPLE = 1_500
"""Characters looked at; more does not make the answer better."""
ENOUGH = 80
"""Characters below which a guess is worth less than the source's own language."""
SURE = 0.5


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify(text: str) -> str | None:
    """The two-letter code of the language of `text`, or None when it is too short or unclear to tell."""
    sample = text[:SAMPLE]
    if len(sample.strip()) < ENOUGH:
        return None
    code, confidence = _identifier().classify(sample)
    return str(code) if confidence >= SURE else None


def two_letters(code: str) -> str:
    """`nl-NL`, `nl_BE`, `NL` → `nl`; empty for what is no language code."""
    head = code.strip().replace("_", "-").split("-")[0].lower()
    return head if len(head) == 2 and head.isascii() and head.isalpha() else ""
