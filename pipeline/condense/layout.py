"""Which part of a post a block stands in: the text itself, an FAQ, a sign-up box, sources, a teaser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.condense.language import Language
from pipeline.condense.sentences import Sentence, sentences
from pipeline.post import Block, BlockKind, Post

LONGEST_LOOKED_AT = 200_000
"""Characters of a post the condenser looks at; a letter needs only a few lines of them."""
MOST_SENTENCES = 5_000


class Zone(StrEnum):
    """What a block belongs to."""

    TEXT = "text"
    FAQ = "faq"
    SIGN_UP = "sign-up"
    SOURCES = "sources"
    TEASER = "teaser"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Part:
    """A block with its sentences, zone and section."""

    index: int
    block: Block
    zone: Zone
    section: int
    heading: str
    sentences: tuple[Sentence, ...]
    size: int
    """Number of words."""

    @property
    def is_text(self) -> bool:
        return self.zone is Zone.TEXT


def lay_out(post: Post, language: Language) -> tuple[Part, ...]:
    """The blocks of `post` with their sentences and zones, headings too, in order."""
    parts: list[Part] = []
    walk = _Walk(language)
    left = MOST_SENTENCES
    for index, block in enumerate(post.blocks):
        if block.start >= LONGEST_LOOKED_AT or left <= 0:
            break
        end = min(block.end, LONGEST_LOOKED_AT)
        inside = _some(post.text, block.start, end, language, left)
        left -= len(inside)
        text = post.text[block.start : end]
        zone = walk.step(block, text, inside)
        size = sum(sentence.size for sentence in inside)
        parts.append(Part(index, block, zone, walk.section, walk.heading, inside, size))
    return tuple(_mark_faq_runs(parts))


def _some(text: str, start: int, end: int, language: Language, most: int) -> tuple[Sentence, ...]:
    found = []
    for sentence in sentences(text, start, end, language.abbreviations, language.ordinal_words):
        found.append(sentence)
        if len(found) >= most:
            break
    return tuple(found)


@dataclass(slots=True)
class _Walk:
    language: Language
    section: int = 0
    heading: str = ""
    _zone: Zone = Zone.TEXT
    _zone_level: int = 0

    def step(self, block: Block, text: str, inside: Sequence[Sentence]) -> Zone:
        """The zone of the next block; headings begin sections and may begin or end a zone."""
        if block.kind is BlockKind.HEADING:
            self.section += 1
            self.heading = text.replace("\n", " ")
            self._at_heading(block.level, text.lower())
            return Zone.OUTSIDE
        if self._zone is not Zone.TEXT:
            return self._zone
        if block.kind in (BlockKind.CODE, BlockKind.OTHER):
            return Zone.OUTSIDE
        return self._of_block(text.lower().replace("’", "'"), inside)

    def _at_heading(self, level: int, lower: str) -> None:
        if self._zone is not Zone.TEXT and level > self._zone_level:
            return
        self._zone, self._zone_level = self._zone_of_heading(lower), level

    def _zone_of_heading(self, lower: str) -> Zone:
        lower = lower.replace("’", "'").strip(" *_:#-–—…👇✉️📩💌")
        if self.language.faq_patterns.found(lower):
            return Zone.FAQ
        if self.language.sources_patterns.found(lower):
            return Zone.SOURCES
        if self.language.signup_patterns.found(lower):
            return Zone.SIGN_UP
        return Zone.TEXT

    def _of_block(self, lower: str, inside: Sequence[Sentence]) -> Zone:
        size = sum(sentence.size for sentence in inside)
        if size <= 70 and self.language.signup_patterns.found(lower):
            return Zone.SIGN_UP
        if size <= 140 and self.language.teaser_patterns.found(lower):
            return Zone.TEASER
        return Zone.TEXT


SHORTEST_FAQ = 3


def _mark_faq_runs(parts: list[Part]) -> list[Part]:
    """Three blocks in a row that each ask and at once answer are an FAQ, with or without such a heading."""
    run: list[int] = []
    marked: set[int] = set()
    for place, part in enumerate([*parts, None]):
        if part is not None and part.is_text and _asks_and_answers(part):
            run.append(place)
            continue
        if len(run) >= SHORTEST_FAQ:
            marked.update(run)
        run = []
    return [_with_zone(part, Zone.FAQ) if place in marked else part for place, part in enumerate(parts)]


def _asks_and_answers(part: Part) -> bool:
    if len(part.sentences) < 2 or part.block.kind is BlockKind.QUOTE:
        return False
    first, *others = part.sentences
    answer = sum(sentence.size for sentence in others if not sentence.text.endswith("?"))
    return first.text.endswith("?") and answer >= 12 and not any(s.text.endswith("?") for s in others)


def _with_zone(part: Part, zone: Zone) -> Part:
    return Part(part.index, part.block, zone, part.section, part.heading, part.sentences, part.size)
