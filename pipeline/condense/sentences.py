"""Sentences of a block, with their places in the post's text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_END = re.compile(r" ?[?!]+ ?»|[.!?…]+[\"'”’»›“)\]*]*| ?[?!]+[\"'”’»›“)\]]*|\n")
_TOKEN = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*")
_WORD_BEFORE = re.compile(r"([^\s(\[\"“‘«]+)\Z")
_OPENERS = "\"'“‘«‹(¿¡[—–-•→*"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as a span of the post's text."""

    start: int
    end: int
    text: str
    lower: str = field(default="")
    words: frozenset[str] = field(default=frozenset())
    size: int = 0
    """Number of words."""


def make_sentence(text: str, start: int, end: int) -> Sentence:
    """The sentence at `start`…`end` of `text`, white space at its ends left out."""
    piece = text[start:end]
    stripped = piece.strip()
    start += len(piece) - len(piece.lstrip())
    lower = stripped.lower().replace("’", "'")
    tokens = _TOKEN.findall(lower)
    words = set(tokens)
    for token in tokens:
        if "'" in token:
            head, _, tail = token.partition("'")
            words |= {f"{head}'", tail}
    return Sentence(start, start + len(stripped), stripped, lower, frozenset(words), len(tokens))


def sentences(
    text: str, start: int, end: int, abbreviations: frozenset[str], ordinals: frozenset[str] = frozenset()
) -> Iterator[Sentence]:
    """The sentences of `text[start:end]`, in order.

    A full stop ends none after one of `abbreviations`, an initial, or a number before one of `ordinals`
    (German `3. Januar`), nor before a small letter; a
    question or exclamation mark inside quotes ends none when the sentence goes on (`“Why?” she asked`).
    """
    piece = text[start:end]
    begin = 0
    for match in _END.finditer(piece):
        if match.start() < begin or not _ends_here(piece, begin, match, abbreviations, ordinals):
            continue
        if piece[begin : match.end()].strip():
            yield make_sentence(text, start + begin, start + match.end())
        begin = match.end()
    if piece[begin:].strip():
        yield make_sentence(text, start + begin, end)


def _ends_here(
    piece: str, begin: int, match: re.Match[str], abbreviations: frozenset[str], ordinals: frozenset[str]
) -> bool:
    mark = match.group()
    if mark == "\n":
        return True
    rest = piece[match.end() : match.end() + 24]
    if rest and not rest[0].isspace():
        return rest[0] in _OPENERS and mark.strip()[0] in "?!"
    follows = rest.lstrip()
    if not follows:
        return True
    first = follows.lstrip("".join(_OPENERS))[:1] or follows[0]
    closes_quote = mark.rstrip(")]*")[-1:] in "\"'”’»›“"
    if first.islower():
        if closes_quote or ")" in mark or mark.strip().startswith((".", "…")):
            return False
        return mark.strip().startswith(("?", "!")) and not _inside_quote(piece[begin : match.start()])
    if mark.startswith(".") and len(mark.rstrip("\"'”’»›“)]*")) == 1:
        before = piece[max(begin, match.start() - 24) : match.start()]
        return not (_is_abbreviation(before, abbreviations) or _is_ordinal(before, follows, ordinals))
    return True


def _inside_quote(text: str) -> bool:
    return text.count("“") > text.count("”") or text.count("«") > text.count("»") or text.count('"') % 2 == 1


def _is_abbreviation(before: str, abbreviations: frozenset[str]) -> bool:
    found = _WORD_BEFORE.search(before)
    if found is None:
        return False
    word = found.group(1).lower()
    if word in abbreviations or word.rstrip(".") in abbreviations:
        return True
    return len(word) == 1 and found.group(1).isupper() and word not in "iyàóu"


def _is_ordinal(before: str, follows: str, ordinals: frozenset[str]) -> bool:
    number = re.search(r"(?<!\d)\d{1,2}\Z", before)
    following = re.match(r"\w+", follows)
    return number is not None and following is not None and following.group().lower() in ordinals


CARRIES = re.compile(r"https?://|www\.\w|\[\^|\{\{|\}\}|@@|\S@\S+\.\w")
"""Web and mail addresses, footnote marks and the like: of use on a page, not in a letter."""
