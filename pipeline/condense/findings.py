"""What an editor should look at before a pick is sent: wording that is wrong next week or for a stranger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.condense.language import Language, Words
from pipeline.condense.questions import is_open
from pipeline.condense.themes import likeness
from pipeline.post import Post, Quote
from pipeline.reading.charsets import misread

LONGEST_QUESTION, LONGEST_EXAMPLE = 30, 140
"""Words. With more, a letter is longer than the 80 to 180 words it should have."""
NEAR = 0.6
"""Likeness (0-1) from which two questions count as one and the same."""

_REFERENCE = re.compile(r"&(?:#\d{2,6}|#[xX][0-9a-fA-F]{2,6}|[a-zA-Z]{2,8}\d{0,2});")
_CAPITAL = r"[A-ZÀ-Þ][\wà-ÿ]+"
_BETWEEN = r"(?: (?:de|den|der|van|von|zu|du|la|le|del|da|di|y))*"
_NOT_FIRST = r"(?<![.!?…:\"“”«»„‘’\n] )(?<![\"“«„‘'(¿¡\n])(?<!^)\b"
_NAME = re.compile(rf"{_NOT_FIRST}{_CAPITAL}(?:{_BETWEEN} {_CAPITAL})*")
_FULL_NAME = re.compile(rf"{_NOT_FIRST}{_CAPITAL}(?:{_BETWEEN} {_CAPITAL})+")
"""German writes every noun with a capital: there only a full name is one."""


def find_findings(
    post: Post, question: Quote | None, example: Quote | None, language: Language, sent: Sequence[str]
) -> tuple[str, ...]:
    """One line for each thing to look at; `sent` are the questions of earlier editions."""
    found: list[str] = []
    if question is not None:
        found += _of_quote("question", question, language)
        found += _of_question(question, language, sent)
    if example is not None:
        found += _of_quote("example", example, language)
        found += _of_example(post, example, language)
    return tuple(found)


def _of_quote(name: str, quote: Quote, language: Language) -> list[str]:
    lower = quote.text.lower().replace("’", "'")
    found = []
    bound = language.time_bound_patterns.pattern
    if words := _first(bound, lower, but=language.today_words if name == "question" else None):
        found.append(f"{name}: “{words}” is bound to a time; it may be wrong when the letter arrives")
    if words := _first(language.inside_patterns.pattern, lower):
        found.append(f"{name}: “{words}” makes sense only inside the post")
    longest = LONGEST_QUESTION if name == "question" else LONGEST_EXAMPLE
    count = len(quote.text.split())
    if count > longest:
        found.append(f"{name}: it has {count} words; {longest} or fewer read better in a letter")
    if "\ufffd" in quote.text:
        found.append(f"{name}: it has a character that could not be read (\ufffd)")
    if odd := misread(quote.text):
        found.append(f"{name}: “{odd}” was read in a wrong charset before it came here")
    if reference := _REFERENCE.search(quote.text):
        found.append(f"{name}: “{reference[0]}” stands for a character in HTML, and would be read as it is")
    if quote.editor_written:
        found.append(f"{name}: written by the editor; it does not stand in the post")
    return found


def _of_question(question: Quote, language: Language, sent: Sequence[str]) -> list[str]:
    lower = question.text.lower().replace("’", "'")
    found = []
    if language.two_questions_patterns.found(lower):
        found.append("question: it asks two things")
    if not is_open(lower, language) and language.closed_patterns.found(lower):
        found.append("question: it can be answered with yes or no")
    near = max(sent, key=lambda earlier: likeness(question.text, earlier, language), default=None)
    if near is not None and likeness(question.text, near, language) >= NEAR:
        found.append(f"question: it is close to one already sent: “{near}”")
    return found


def _of_example(post: Post, example: Quote, language: Language) -> list[str]:
    """Names that the post has introduced before the example; alone, it does not say who they are."""
    before = post.text[: example.start]
    pattern = _FULL_NAME if language.code == "de" else _NAME
    names = dict.fromkeys(match.group() for match in pattern.finditer(example.text))
    known = [name for name in names if name in before]
    return [f"example: “{name}” is introduced earlier in the post, not here" for name in known[:3]]


def _first(pattern: re.Pattern[str] | None, lower: str, but: Words | None = None) -> str:
    """The first match; a question's "today" is the reader's own day, so its words may be passed over."""
    for match in pattern.finditer(lower) if pattern is not None else ():
        words = match.group().strip()
        if but is None or not but.found(frozenset({words}), words):
            return words
    return ""
