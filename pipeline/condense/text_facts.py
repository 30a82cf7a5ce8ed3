"""What kind of post it is: told from the whole text, used for every candidate in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.condense.language import Language
from pipeline.condense.layout import Part
from pipeline.condense.sentences import Sentence
from pipeline.post import BlockKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFacts:
    """Facts about a whole post."""

    words: int
    technical: float
    """0 (not) to 1 (a how-to about a technique)."""
    promotional: float
    """0 (not) to 1 (mostly an offer)."""
    inward: float
    """0 to 1: how much of it speaks to the reader about inner life."""
    told: float
    """0 to 1: how much of it the writer tells of themselves."""
    interview: bool
    """True when its paragraphs begin with the names of those who speak."""
    opens_with_questions: bool
    """True when a list of three or more questions opens the post."""


def read_facts(text: str, parts: Sequence[Part], language: Language) -> PostFacts:
    """The facts of a post laid out as `parts`."""
    sentences = [sentence for part in parts for sentence in part.sentences]
    count = max(1, len(sentences))
    technical = sum(language.technical_words.found(s.words, s.lower) for s in sentences) / count
    offers = sum(language.offer_words.found(s.words, s.lower) for s in sentences) / count
    you = sum(speaks_to_reader(s, language) for s in sentences) / count
    me = sum(language.first_person.found(s.words, s.lower) for s in sentences) / count
    deep = sum(language.reflective.found(s.words, s.lower) for s in sentences) / count
    code = sum(part.block.kind is BlockKind.CODE for part in parts)
    opening = [
        p
        for p in parts[:10]
        if p.block.kind is BlockKind.LIST_ITEM and p.sentences and p.sentences[-1].text.endswith("?")
    ]
    return PostFacts(
        words=sum(part.size for part in parts),
        technical=min(1.0, max(0.0, technical * 5 - 0.5) + 0.25 * code),
        promotional=min(1.0, max(0.0, offers * 5 - 0.5)),
        inward=round(min(1.0, you * deep * 3), 3),
        told=round(me, 3),
        interview=_is_interview(text, parts),
        opens_with_questions=len(opening) >= 3,
    )


_SPEAKER = re.compile(r"([A-ZÀ-Þ]{1,4}|[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+){0,3}) ?:\s")


def _is_interview(text: str, parts: Sequence[Part]) -> bool:
    """Four paragraphs or more begin with a speaker's name or initials, and some speaker does so twice."""
    found = [
        _SPEAKER.match(text, part.block.start) for part in parts if part.block.kind is BlockKind.PARAGRAPH
    ]
    names = Counter(match.group(1) for match in found if match)
    return names.total() >= 4 and max(names.values(), default=0) >= 2


def speaks_to_reader(sentence: Sentence, language: Language) -> bool:
    """True when a sentence says "you" in one way or another."""
    return (
        language.second_person.found(sentence.words, sentence.lower)
        or language.second_person_patterns.found(sentence.lower)
        or language.second_person_cased_patterns.found(sentence.text)
    )
