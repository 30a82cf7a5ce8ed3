"""What an editor should look at before a pick is sent: wording that is wrong next week or for a stranger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.condense.language import Language
from pipeline.condense.themes import likeness
from pipeline.post import Post, Quote

LONGEST_QUESTION, LONGEST_EXAMPLE = 30, 140
"""Words. With more, a letter is longer than the 80 to 180 words it should have."""
NEAR = 0.6
"""Likeness (0-1) from which two questions count as one and the same."""

_NAME = re.compile(r"(?<![.!?…:\"“«„\n] )(?<!^)\b[A-ZÀ-Þ][\wà-ÿ]+(?: [A-ZÀ-Þ][\wà-ÿ]+)+")


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
        found += _of_example(post, example)
    return tuple(found)


def _of_quote(name: str, quote: Quote, language: Language) -> list[str]:
    lower = quote.text.lower().replace("’", "'")
    found = []
    if words := _first(language.time_bound_patterns.pattern, lower):
        found.append(f"{name}: “{words}” is bound to a time; it may be wrong when the letter arrives")
    if words := _first(language.inside_patterns.pattern, lower):
        found.append(f"{name}: “{words}” makes sense only inside the post")
    longest = LONGEST_QUESTION if name == "question" else LONGEST_EXAMPLE
    count = len(quote.text.split())
    if count > longest:
        found.append(f"{name}: it has {count} words; {longest} or fewer read better in a letter")
    if quote.editor_written:
        found.append(f"{name}: written by the editor; it does not stand in the post")
    return found


def _of_question(question: Quote, language: Language, sent: Sequence[str]) -> list[str]:
    lower = question.text.lower().replace("’", "'")
    found = []
    if language.two_questions_patterns.found(lower):
        found.append("question: it asks two things")
    if language.closed_patterns.found(lower):
        found.append("question: it can be answered with yes or no")
    near = max(sent, key=lambda earlier: likeness(question.text, earlier, language), default=None)
    if near is not None and likeness(question.text, near, language) >= NEAR:
        found.append(f"question: it is close to one already sent: “{near}”")
    return found


def _of_example(post: Post, example: Quote) -> list[str]:
    names = []
    for match in _NAME.finditer(example.text):
        before = post.text[: example.start]
        if match.group() not in names and match.group() in before:
            names.append(match.group())
    return [f"example: “{name}” is introduced earlier in the post, not here" for name in names[:3]]


def _first(pattern: re.Pattern[str] | None, lower: str) -> str:
    match = pattern.search(lower) if pattern is not None else None
    return match.group().strip() if match else ""
