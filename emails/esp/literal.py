"""Letters for providers that merge: our fields in the provider's syntax, and everything else safe from it.

A post may well be about merge syntax. None of these providers documents an escape, nor in how many passes it
merges, so hiding the syntax in a merge value proves nothing. What holds with any number of passes is that the
bytes of the syntax are not there: in HTML its opening is written as character references (HTML 5 13.5, a
browser shows the very characters), in plain text and subject a word joiner (U+2060, shows nothing) parts it.
Only text that looks like the syntax is touched, all other text goes byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from emails.edition import Letter
from emails.merge import Merge, cut, split

WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Syntax:
    """A provider's merge syntax."""

    opening: re.Pattern[str]
    """Finds the characters that begin it (look-ahead for the rest). Beside the start or the end of a piece
    stands one of our own fields; what must not touch the end of one is in a group named `after`."""
    field: Callable[[str], str]
    """How a field of that name is written."""


@dataclass(frozen=True, slots=True)
class Template:
    """A letter in the provider's syntax."""

    subject: str
    html: str
    text: str


def template(letter: Letter, syntax: Syntax) -> Template:
    """`letter` with its merge fields as the provider writes them."""
    parts = split(letter)
    return Template(
        subject=_written(cut(letter.subject), syntax, _parted),
        html=_written(parts.html, syntax, _referenced),
        text=_written(parts.text, syntax, _parted),
    )


def literal(text: str, syntax: Syntax) -> str:
    """Plain `text` in which the provider finds nothing to merge."""
    return syntax.opening.sub(_parted, text)


def _written(merge: Merge, syntax: Syntax, escape: Callable[[re.Match[str]], str]) -> str:
    pieces = merge.mapped(lambda piece: syntax.opening.sub(escape, piece)).pieces
    fields = [*map(syntax.field, merge.fields), ""]
    return "".join(word for pair in zip(pieces, fields, strict=True) for word in pair)


def _referenced(found: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in found[0])


def _parted(found: re.Match[str]) -> str:
    return f"{WORD_JOINER}{found[0]}" if found.lastgroup == "after" else f"{found[0]}{WORD_JOINER}"
