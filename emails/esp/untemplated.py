"""Letters for providers that we ask for no merging, but that may know placeholders of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from emails.edition import MERGE_NAMES, Letter
from emails.esp.literal import Syntax, template

CURLY = re.compile(r"\{(?=[{%])")
"""`{{name}}` and `{% tag %}`."""


@lru_cache(maxsize=16)
def without_placeholders(letter: Letter, opening: re.Pattern[str] = CURLY) -> Letter:
    """`letter` reading the same, but with nothing in it that begins like a placeholder of the provider.

    `opening` finds the characters that begin one. Our own merge fields stay.
    """
    made = template(letter, Syntax(opening=opening, field=MERGE_NAMES.__getitem__))
    return replace(letter, subject=made.subject, html=made.html, text=made.text)
