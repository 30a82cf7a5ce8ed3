"""Examples in a post: passages that show one concrete scene, and what speaks for and against each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.condense.language import Language
from pipeline.condense.layout import Part
from pipeline.condense.questions import MARK, sign_before
from pipeline.condense.sentences import CARRIES, Sentence, make_sentence
from pipeline.condense.text_facts import PostFacts
from pipeline.post import BlockKind, Post

SHORTEST, LONGEST = 18, 165
"""Words of an example. A letter has 80 to 180 words in all."""
LONG_ENOUGH = 22
"""Words from which a paragraph that the writer marked is an example by itself."""
MOST_WHOLE_AFTER_A_CUT = 2
"""Ways to end a passage that begins inside a paragraph: with that paragraph, or with the next."""
LONG_PARAGRAPH = 90
"""Words up to which a paragraph is not cut."""
MOST_PARTS = 6
MOST = 4_000
"""Candidates weighed per post."""

_GOOD = (38, 130)
_CUTS = (60, 95, 130)
"""Words at which a long paragraph may be cut, always at the sentence border before."""
_NUMBER = re.compile(r"\b\d+\b")
_NAME = re.compile(r"(?<=[a-zà-ÿ,] )[A-ZÀ-Ý][a-zà-ÿ]{2,}")
_SPEECH = re.compile(r"[“«„\"][^“”«»\"]{6,}[”»\"]|(?:^|\n)[—–-]\s?\w")


@dataclass(frozen=True, slots=True)
class ExampleCandidate:
    """A passage as a span of the post's text, where it stands, and its reasons (name → strength)."""

    start: int
    end: int
    words: int
    part: Part
    last: Part
    reasons: Mapping[str, float]
    sentences: tuple[Sentence, ...]

    @property
    def vocabulary(self) -> frozenset[str]:
        """All its words."""
        return frozenset().union(*(sentence.words for sentence in self.sentences))


@dataclass(frozen=True, slots=True)
class _Line:
    """A sentence with what it contributes to an example."""

    sentence: Sentence
    part: Part
    opens: bool
    """True for the first sentence of its paragraph."""
    closes: bool
    flags: frozenset[str]
    concrete: int


def find_examples(
    post: Post, parts: Sequence[Part], language: Language, facts: PostFacts
) -> list[ExampleCandidate]:
    """Passages that might be examples: runs of whole paragraphs, and pieces of long ones."""
    found: list[ExampleCandidate] = []
    for run in _runs(post, parts, each_alone=facts.interview):
        lines = [line for part in run for line in _lines(post, part, language)]
        for first, last, marked in _spans(lines):
            found.append(_candidate(lines, first, last, marked, facts))
            if len(found) >= MOST:
                return found
    return found


def _runs(post: Post, parts: Sequence[Part], *, each_alone: bool) -> Iterator[list[Part]]:
    """Neighbouring text blocks of one section, or each alone where several people speak in turn.

    A question marked for the reader is part of no example.
    """
    run: list[Part] = []
    for part in parts:
        if part.is_text and part.sentences and not _asks_reader(post, parts, part):
            if run and (each_alone or run[-1].section != part.section):
                yield run
                run = []
            run.append(part)
        elif run and (part.is_text or part.block.kind in (BlockKind.HEADING, BlockKind.CODE)):
            yield run
            run = []
    if run:
        yield run


def _asks_reader(post: Post, parts: Sequence[Part], part: Part) -> bool:
    first = part.sentences[0].text
    return MARK.match(first) is not None or ("?" in first and bool(sign_before(post, parts, part)))


def _lines(post: Post, part: Part, language: Language) -> Iterator[_Line]:
    marker = language.example_markers.match(part.sentences[0].lower)
    for number, sentence in enumerate(part.sentences):
        marked = number == 0 and marker is not None and len(sentence.text) == len(sentence.lower)
        if marked and marker is not None:
            start = sentence.start + marker.end()
            if start >= sentence.end:
                yield _Line(sentence, part, True, number == len(part.sentences) - 1, frozenset({"label"}), 0)
                continue
            sentence = make_sentence(post.text, start, sentence.end)
        flags = _flags(sentence, language)
        if marked:
            flags |= {"marked"}
        yield _Line(
            sentence,
            part,
            number == 0,
            number == len(part.sentences) - 1,
            flags,
            language.concrete.count(sentence.words, sentence.lower),
        )


def _flags(sentence: Sentence, language: Language) -> frozenset[str]:
    words, lower = sentence.words, sentence.lower
    start = lower.lstrip("*_\"“«'‘(–—-• ")
    checks = {
        "past": language.past.found(words, lower) or language.past_patterns.found(lower),
        "first": language.first_person.found(words, lower),
        "you": language.second_person.found(words, lower) or language.second_person_patterns.found(lower),
        "time": language.time_patterns.found(lower),
        "scene": language.scene_patterns.found(start),
        "cue": language.example_cues.found(words, lower),
        "person": language.people.found(words, lower),
        "advice": language.advice_patterns.found(start),
        "general": language.general_patterns.found(lower),
        "question": sentence.text.rstrip('"”»)*_').endswith("?"),
        "offer": language.offer_words.found(words, lower),
        "technical": language.technical_words.found(words, lower),
        "number": _NUMBER.search(sentence.text) is not None,
        "speech": _SPEECH.search(sentence.text) is not None,
        "inside": language.inside_patterns.found(lower),
        "comment": language.comment_patterns.found(lower),
        "leaning": _leans(start, language),
        "carries": CARRIES.search(sentence.text) is not None,
        "supposing": language.supposing_words.found(words, lower),
        "about_post": language.about_post_patterns.found(lower),
        "starts_then": language.then_words.found(frozenset({start.split(" ")[0].strip(",.")}), ""),
        "then": language.then_words.found(words, lower),
        "we": language.we.found(words, lower),
        "name": _NAME.search(sentence.text) is not None,
        "said": language.said.found(words, lower),
        "deep": language.reflective.found(words, lower),
    }
    return _in_the_light_of_each_other(sentence, language, {name for name, holds in checks.items() if holds})


def _in_the_light_of_each_other(sentence: Sentence, language: Language, found: set[str]) -> frozenset[str]:
    """What one flag says of another: a perfect tells if someone acts; in a story "we" are people."""
    acts = found & {"first", "person", "time"}
    if "past" not in found and acts and language.perfect_patterns.found(sentence.lower):
        found.add("past")
    if "past" in found:
        if language.third_person.found(sentence.words, sentence.lower) or "we" in found:
            found.add("person")
        found.discard("we")
    return frozenset(found)


def _leans(start: str, language: Language) -> bool:
    first = re.match(r"[^\W_]+'?", start)
    return first is not None and language.leaning_words.found(frozenset({first.group()}), start[:24])


def _spans(lines: Sequence[_Line]) -> Iterator[tuple[int, int, bool]]:
    """(first line, last line, marked) of each passage worth weighing."""
    for first, line in enumerate(lines):
        label = "label" in line.flags
        begin = first + 1 if label else first
        if begin >= len(lines):
            continue
        marked = label or "marked" in line.flags
        starts_a_story = bool(lines[begin].flags & {"time", "scene", "cue"})
        if not (line.opens or starts_a_story):
            continue
        whole = 0
        for last in _ends(lines, begin):
            yield begin, last, marked
            whole += lines[last].closes
            if not line.opens and whole == MOST_WHOLE_AFTER_A_CUT:
                break


def _ends(lines: Sequence[_Line], first: int) -> Iterator[int]:
    """Last lines for a passage that begins at `first`: paragraph ends, and cuts inside a long paragraph."""
    words, parts = 0, 0
    cuts = list(_CUTS)
    previous: int | None = None
    for place in range(first, len(lines)):
        line = lines[place]
        if "label" in line.flags or ("marked" in line.flags and place > first):
            break
        words += line.sentence.size
        if words > LONGEST:
            break
        parts += line.closes
        if line.closes and words >= SHORTEST:
            yield place
        elif cuts and words > cuts[0]:
            if previous is not None and line.part.size > LONG_PARAGRAPH:
                yield previous
            cuts = [cut for cut in cuts if cut >= words]
        if parts >= MOST_PARTS:
            break
        previous = place if not line.closes else None
    else:
        return
    if previous is not None and words > LONGEST:
        yield previous


def _candidate(
    run: Sequence[_Line], first: int, last: int, marked: bool, facts: PostFacts
) -> ExampleCandidate:
    passage = _Passage(run[first : last + 1])
    lines, words = passage.lines, passage.words
    reasons = {
        "marked": 1.0 if marked else 0.0,
        "past_mark": marked
        and _first_paragraph(lines) >= LONG_ENOUGH
        and lines[0].part is not lines[-1].part,
        "mid_story": not marked and (first > 0 and _tells(run[first - 1]) and _tells(run[first])),
        "goes_on": last + 1 < len(run) and _tells(run[last]) and _tells(run[last + 1]),
        "starts_then": "starts_then" in run[first].flags,
        **_story(passage),
        **_shape(passage),
        **_against(passage, facts),
    }
    return ExampleCandidate(
        start=lines[0].sentence.start,
        end=lines[-1].sentence.end,
        words=words,
        part=lines[0].part,
        last=lines[-1].part,
        reasons={name: value for name, value in reasons.items() if value},
        sentences=tuple(line.sentence for line in lines),
    )


class _Passage:
    """Lines with the number of their words, and for each flag the share of the words that stand under it."""

    __slots__ = ("lines", "shares", "words")

    def __init__(self, lines: Sequence[_Line]) -> None:
        self.lines = lines
        self.words = sum([line.sentence.size for line in lines])
        shares: dict[str, float] = {}
        for line in lines:
            part = line.sentence.size / (self.words or 1)
            for flag in line.flags:
                shares[flag] = shares.get(flag, 0.0) + part
        self.shares = shares


def _first_paragraph(lines: Sequence[_Line]) -> int:
    """Words of the passage's first paragraph."""
    return sum(line.sentence.size for line in lines if line.part is lines[0].part)


def _tells(line: _Line) -> bool:
    return "past" in line.flags and not line.flags & {"general", "advice", "label", "question"}


def _story(passage: _Passage) -> dict[str, float]:
    lines, words, shares = passage.lines, passage.words, passage.shares
    opening = frozenset().union(*(line.flags for line in lines[:2]))
    concrete = sum(line.concrete for line in lines)
    first = shares.get("first", 0.0)
    you = shares.get("you", 0.0)
    past = shares.get("past", 0.0)
    told = sum(bool(line.flags & {"past"}) for line in lines)
    return {
        "past": min(1.0, 1.4 * past),
        "told_events": min(1.0, told / 4),
        "then": min(1.0, sum("then" in line.flags for line in lines) / 2),
        "time": 1.0 if ("time" in opening) else 0.5 * ("time" in shares),
        "time_first": "time" in lines[0].flags,
        "scene": 1.0 if "scene" in lines[0].flags else 0.5 * ("scene" in shares),
        "cue": 1.0 if ("cue" in opening) else 0.5 * ("cue" in shares),
        "person": min(1.0, 1.5 * shares.get("person", 0.0)),
        "first_person": min(1.0, 1.3 * first),
        "i_told": min(1.0, first * past * 1.5),
        "you_scene": min(1.0, you) if first < 0.5 and past < 0.5 else 0.0,
        "concrete": min(1.0, concrete / max(2.0, words / 20)),
        "number": ("number" in shares),
        "name": ("name" in shares),
        "speech": ("speech" in shares),
        "said": ("said" in shares),
        "inner": shares.get("deep", 0.0),
    }


def _shape(passage: _Passage) -> dict[str, float]:
    lines, words = passage.lines, passage.words
    low, high = _GOOD
    kinds = [line.part.block.kind for line in lines]
    items = sum(kind is BlockKind.LIST_ITEM for kind in kinds) / len(kinds)
    return {
        "whole": 1.0 if lines[0].opens and lines[-1].closes else 0.0,
        "cut_end": not lines[-1].closes,
        "cut_start": not lines[0].opens,
        "paragraphs": min(1.0, (lines[-1].part.index - lines[0].part.index) / 3),
        "good_length": 1.0 if low <= words <= high else 0.0,
        "fuller": min(1.0, words / 80),
        "short": max(0.0, (low - words) / (low - SHORTEST)) if words < low else 0.0,
        "long": max(0.0, (words - high) / (LONGEST - high)),
        "list": items,
        "quoted_source": sum(kind is BlockKind.QUOTE for kind in kinds) / len(kinds),
        "open_end": lines[-1].sentence.text.rstrip().endswith(":"),
    }


def _against(passage: _Passage, facts: PostFacts) -> dict[str, float]:
    lines, shares = passage.lines, passage.shares
    not_you = shares.get("you", 0.0) < 0.2
    return {
        "leaning": 1.0 if lines[0].flags & {"leaning", "inside"} else 0.0,
        "advice": shares.get("advice", 0.0),
        "general": shares.get("general", 0.0),
        "we": shares.get("we", 0.0),
        "question": shares.get("question", 0.0),
        "starts_advice": "advice" in lines[0].flags and not lines[0].flags & {"past", "cue", "scene"},
        "starts_asking": "question" in lines[0].flags and "speech" not in lines[0].flags,
        "nobody": shares.get("person", 0.0) < 0.2 and shares.get("first", 0.0) < 0.2 and not_you,
        "supposing": 0.0 if ("scene" in shares) or ("cue" in shares) else shares.get("supposing", 0.0),
        "aside": lines[-1].sentence.text.startswith("(") or lines[0].sentence.text.startswith("("),
        "offer": min(1.0, 2 * shares.get("offer", 0.0)),
        "technical": max(facts.technical, min(1.0, shares.get("technical", 0.0))),
        "carries": ("carries" in shares),
        "about_post": 1.0 if ("comment" in shares) or ("about_post" in shares) else 0.0,
    }
