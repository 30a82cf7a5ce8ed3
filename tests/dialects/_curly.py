"""A provider that may fill in placeholders: the worst it can do is to make them vanish."""

from __future__ import annotations

import re

WORD_JOINER = "\u2060"


def emptied(text: str) -> str:
    """`text` after a provider knew nothing to put in its placeholders."""
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)


def unhidden(text: str) -> str:
    """What a reader sees of text whose curly braces were kept from the provider."""
    return text.replace("&#123;", "{").replace(WORD_JOINER, "")
