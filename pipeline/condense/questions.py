"""Questions a post puts to its reader: finding the candidates and saying what speaks for and against each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.condense.language import Language
from pipeline.condense.layout import Part
from pipeline.condense.sentences import CARRIES, Sentence, make_sentence
from pipeline.condense.text_facts import PostFacts, speaks_to_reader
from pipeline.post import BlockKind, Post

MARK = re.compile(
    r"\s*(?:(?:💡|❓|❔|🤔|💭|🌱|✨|🔎|🧘|🪞|👉|➡|→)(?:[🏻-🏿\ufe0f]|\u200d[♀♂])*+\s*+)++(?:(?:\w{4,20}\s?)?[:：]\s*|[–—-]\s+)?"
)
"""One sign or several, in any colour of skin (🧘🏽‍♀️ is 🧘 and four more characters), and a label."""
_SIGN = re.compile(
    rf"{MARK.pattern}|\s*[💡❓❔]\ufe0f? ?(?:\w{{1,20}} ){{0,2}}"
    r"(?:vraag|vragen|vraagje|question|questions|frage|fragen|pregunta|preguntas|"
    r"\w{0,10}(?:nadenk|overdenk|denkvraag|reflect|reflex|réflexion|nachdenk)\w{0,10})"
    r"(?: \w{1,20}){0,2} ?[:：]?\s*",
    re.IGNORECASE,
)
"""A mark that stands alone: it is for what follows. Those that mean nothing but a question may have words
that say so (`💡 Vraag`); other words are the name of a story, an example, a tip."""
LONGEST_SIGN = 100
"""Characters."""
MOST_BELOW = 2
"""Sentences below a mark that stands alone: where there are more, it is the sign of a story, and who asks
something in it does not ask the reader."""
MOST = 400
"""Candidates weighed per post; a post with more questions is no post but a questionnaire."""

_ENDS = re.compile(r"[?？][?!]*[\"'”’»)\]*]*:?\Z")
_AFTER_ARROW = re.compile(r"[?][\"”»)]*\s*(?:→|⇒|->|–>|=>)\s")
_DASH_SPEECH = re.compile(r"[—–-]\s?\S")
_QUOTES = re.compile('[“”«»„"]')
_VOCATIVE = re.compile(r", [A-ZÀ-Þ][a-zà-ÿ]+ ?[?]")
_WORDS_SHORT, _WORDS_LONG = 3, 28
RUN = 3
_SPEAKER = re.compile(r"(?:[A-ZÀ-Þ]{1,4}|[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+){0,3}) ?:\s")


@dataclass(frozen=True, slots=True)
class QuestionCandidate:
    """A question sentence, where it stands, and its reasons (name → strength)."""

    sentence: Sentence
    part: Part
    reasons: Mapping[str, float]


def find_questions(
    post: Post, parts: Sequence[Part], language: Language, facts: PostFacts
) -> list[QuestionCandidate]:
    """Every question in the text of a post, not in headings, FAQ, sign-up box, sources or teasers."""
    found: list[QuestionCandidate] = []
    places = [(part, n) for part in parts if part.is_text for n in range(len(part.sentences))]
    for place, (part, number) in enumerate(places):
        for sentence, lead in _spans(post.text, part, number, sign_before(post, parts, part, number)):
            around = _Around(places, place)
            reasons = _Reader(post, language, facts, part, sentence, lead, around, parts).reasons()
            found.append(QuestionCandidate(sentence, part, reasons))
        if len(found) >= MOST:
            break
    return found


def sign_before(post: Post, parts: Sequence[Part], part: Part, number: int = 0) -> str:
    """The mark that stands alone before a sentence: on the line above, in a heading or a box of its own."""
    if len(part.sentences) - number > MOST_BELOW or _colon(part.sentences[number].text):
        return ""
    if number:
        before = part.sentences[number - 1].text
    elif part.index:
        block = parts[part.index - 1].block
        before = post.text[block.start : min(block.end, block.start + LONGEST_SIGN + 1)]
    else:
        return ""
    return before if len(before) <= LONGEST_SIGN and _SIGN.fullmatch(before) else ""


def _spans(text: str, part: Part, number: int, sign: str) -> Iterator[tuple[Sentence, str]]:
    """The question in a sentence, with the words that lead up to it, which are not part of it; a `sign` that
    stands before it is one of them."""
    sentence = part.sentences[number]
    start, end = sentence.start, sentence.end
    if arrow := _AFTER_ARROW.search(sentence.text):
        end = start + arrow.start() + 1
    elif not _ENDS.search(sentence.text):
        return
    lead = sign
    if mark := MARK.match(text, start, end):
        lead, start = mark.group(), mark.end()
    if colon := _colon(text[start:end]):
        lead += text[start : start + colon]
        start += colon
        if mark := MARK.match(text, start, end):  # `Vraag: 💡 Wat …?`
            lead, start = lead + mark.group(), mark.end()
    if lead and start < end and text[start] in '“"«„' and text[end - 1] in '”"»“':
        start, end = start + 1, end - 1
        lead += " “"
    if (end - start) > 1:
        yield make_sentence(text, start, end), lead


def _colon(text: str) -> int:
    """Where the question begins after a short lead such as `Ask yourself:`; 0 when there is none."""
    found = re.match(r"[^:：?!“”\"«»]{3,110}(?::\s+|：\s*)(?=\S)", text)
    if found is None or len(found.group().split()) > 16 or len(text) - found.end() < 8:
        return 0
    return found.end()


@dataclass(frozen=True, slots=True)
class _Around:
    """The sentences before and after a place in the text."""

    places: Sequence[tuple[Part, int]]
    place: int

    def at(self, offset: int) -> tuple[Part, Sentence] | None:
        there = self.place + offset
        if not 0 <= there < len(self.places):
            return None
        part, number = self.places[there]
        return part, part.sentences[number]

    def is_last_question(self) -> bool:
        """True when no question follows in the text."""
        following = self.places[self.place + 1 : self.place + 200]
        return not any(part.sentences[number].text.endswith("?") for part, number in following)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one candidate in its surroundings."""

    post: Post
    language: Language
    facts: PostFacts
    part: Part
    sentence: Sentence
    lead: str
    around: _Around
    parts: Sequence[Part]

    def reasons(self) -> dict[str, float]:
        """All that speaks for and against the candidate."""
        found = {**self._person(), **self._form(), **self._place(), **self._trap(), **self._next_to()}
        return {name: strength for name, strength in found.items() if strength}

    @property
    def _lower(self) -> str:
        """The question in lower case without the quotes, dashes and joining words it may begin with."""
        lower = self.sentence.lower.lstrip("*_\"“«'‘(–—- ")
        for _ in range(2):
            first, _, rest = lower.partition(" ")
            if not rest or not self._joins(first):
                break
            lower = "¿" * first.startswith("¿") + rest
        return lower

    def _joins(self, word: str) -> bool:
        return self.language.joining_words.found(frozenset({word.strip("¿,")}), "")

    def _speaks_to_reader(self, sentence: Sentence) -> bool:
        return speaks_to_reader(sentence, self.language)

    def _person(self) -> dict[str, float]:
        words, lower = self.sentence.words, self.sentence.lower
        you = self._speaks_to_reader(self.sentence)
        first = self.language.first_person.found(words, lower)
        we = self.language.we.found(words, lower)
        led = self._is_led()
        return {
            "you": you,
            "prompt_i": first and not you and (led or self._is_in_a_run()),
            "musing_i": first and not you and not (led or self._is_in_a_run()),
            "only_we": we and not you and not first,
            "impersonal": not (you or first or we or self.language.what_if_patterns.found(lower)),
            "lead_in": led,
            "marked": bool(MARK.search(self.lead)),
        }

    def _is_in_a_run(self) -> bool:
        """True when it is one of three or more questions in a row: a list of questions to ask oneself."""
        run = 1
        for step in (-1, 1):
            for distance in range(1, 6):
                there = self.around.at(step * distance)
                if there is None or there[0].section != self.part.section or not there[1].text.endswith("?"):
                    break
                run += 1
        return run >= RUN or (self._in_list_of_questions())

    def _in_list_of_questions(self) -> bool:
        """True when it is a list item among three or more that begin with a question."""
        if self.part.block.kind is not BlockKind.LIST_ITEM:
            return False
        near = self.parts[max(0, self.part.index - 8) : self.part.index + 9]
        asking = [p for p in near if p.section == self.part.section and p.block.kind is BlockKind.LIST_ITEM]
        return sum(bool(p.sentences) and p.sentences[0].text.endswith("?") for p in asking) >= RUN

    def _is_led(self) -> bool:
        """True when words, sentence or heading before it invite the reader to reflect."""
        if self._in_list_of_questions():
            return self._list_is_led()
        lead = self.lead.lower().replace("’", "'")
        if lead and self.language.lead_ins.found(frozenset(re.findall(r"\w+", lead)), lead):
            return True
        for back in (-1, -2, -3, -4, -5, -6):
            before = self.around.at(back)
            if before is None or before[0].section != self.part.section:
                break
            if before[1].text.endswith("?"):
                if self._is_lead_in(before[1]):
                    return True
                continue
            return self._is_lead_in(before[1])
        heading = self.part.heading.lower()
        return self.language.lead_ins.found(frozenset(re.findall(r"\w+", heading)), heading)

    def _list_is_led(self) -> bool:
        for part in reversed(self.parts[max(0, self.part.index - 12) : self.part.index]):
            if part.block.kind is BlockKind.HEADING:
                return bool(part.sentences) and self._is_lead_in(part.sentences[-1])
            if part.block.kind is not BlockKind.LIST_ITEM and part.sentences:
                return self._is_lead_in(part.sentences[-1])
        return False

    def _is_lead_in(self, sentence: Sentence) -> bool:
        return self.language.lead_ins.found(sentence.words, sentence.lower)

    def _form(self) -> dict[str, float]:
        lower, words, size = self._lower, self.sentence.words, self.sentence.size
        opened = self._is_open()
        deep = self.language.reflective.count(words, self.sentence.lower)
        return {
            "open": opened,
            "closed": not opened,
            "reflective": deep >= 1,
            "reflective_more": deep >= 3,
            "self": self.language.self.found(words, self.sentence.lower),
            "short": 1.0 if size < _WORDS_SHORT else 0.5 if size == _WORDS_SHORT else 0.0,
            "long": min(1.0, max(0, size - _WORDS_LONG) / 12),
            "two": self.language.two_questions_patterns.found(lower),
            "joined": self.language.joining_words.found(
                frozenset({self._lower.split(" ")[0].strip("¿,")}), ""
            ),
        }

    def _is_open(self) -> bool:
        return is_open(self._lower, self.language)

    def _place(self) -> dict[str, float]:
        part, total = self.part, max(1, len(self.parts))
        return {
            "pulled": part.block.kind is BlockKind.QUOTE,
            "alone": part.size <= self.sentence.size + 8,
            "late": part.index / total > 0.3,
            "last": self.around.is_last_question(),
            "title": self._repeats_title(),
            "opening_list": part.block.kind is BlockKind.LIST_ITEM
            and part.index <= 8
            and self.facts.opens_with_questions,
            "technical": max(self.facts.technical, float(self._is_technical())),
            "promotional": self.facts.promotional,
            "inward_post": self.facts.inward,
            "told_post": self.facts.told,
        }

    def _is_technical(self) -> bool:
        return self.language.technical_words.found(self.sentence.words, self.sentence.lower)

    def _repeats_title(self) -> bool:
        title = set(re.findall(r"\w+", self.post.title.lower()))
        mine = set(re.findall(r"\w+", self.sentence.lower))
        return bool(title) and len(title & mine) >= 0.8 * max(len(title), len(mine))

    def _trap(self) -> dict[str, float]:
        lower = self._lower
        language = self.language
        you = self._speaks_to_reader(self.sentence)
        offer = language.offer_patterns.found(lower) or language.offer_words.found(self.sentence.words, lower)
        return {
            "interview": self.facts.interview
            and _SPEAKER.match(self.post.text, self.part.block.start) is not None,
            "pointing": language.pointing_patterns.found(lower),
            "quoted": (0.3 if self._is_led() and self.lead else 1.0) * self._is_quoted()
            or _VOCATIVE.search(self.sentence.text) is not None,
            "said": language.said.found(frozenset(re.findall(r"\w+", self.lead.lower())), "")
            if self.lead
            else False,
            "leaning": language.leaning_patterns.found(lower),
            "rhetorical": language.rhetorical_patterns.found(lower),
            "knowledge": language.knowledge_patterns.found(lower),
            "definition": not you and language.definition_patterns.found(lower),
            "howto": language.howto_patterns.found(lower),
            "declarative": language.declarative_patterns.found(lower),
            "offer": offer,
            "pain": language.pain_patterns.found(lower),
            "comment": language.comment_patterns.found(lower),
            "aside": self.sentence.text.startswith("(") or self._unbalanced(),
            "inside": language.inside_patterns.found(lower),
            "carries": CARRIES.search(self.sentence.text) is not None,
        }

    def _lead_reports(self) -> bool:
        return self.language.said.found(frozenset(re.findall(r"\w+", self.lead.lower())), "")

    def _unbalanced(self) -> bool:
        return self.sentence.text.count("(") != self.sentence.text.count(")")

    def _is_quoted(self) -> bool:
        """Inside quotation marks that began before it or in it, or a line of dialogue after a dash."""
        block_start = self.part.block.start
        if self.lead.endswith("“"):
            return True
        before = self.post.text[max(block_start, self.sentence.start - 3000) : self.sentence.start]
        if _open_quote(before):
            return True
        if self.part.block.kind is not BlockKind.LIST_ITEM and _DASH_SPEECH.match(
            self.post.text, self.sentence.start
        ):
            return True
        inside = self.sentence.text
        mark = inside.rstrip("\"'”’»)]*:").rfind("?")
        return _open_quote(inside[:mark]) or (inside[:1] in '“"«„' and inside.rstrip(")")[-1:] in '”"»“')

    def _next_to(self) -> dict[str, float]:
        language = self.language
        after, before = self.around.at(1), self.around.at(-1)
        second = self.around.at(2)
        near = [
            place for place in (after, second) if place is not None and place[0].section == self.part.section
        ]
        follows = self._following_lower()
        return {
            "answered": bool(follows) and self._is_answered(follows),
            "advice_follows": bool(follows)
            and not self._is_open()
            and language.advice_start_patterns.found(follows),
            "comment_near": any(language.comment_patterns.found(place[1].lower) for place in near),
            "offer_near": any(
                language.offer_words.found(place[1].words, place[1].lower)
                or language.signup_patterns.found(place[1].lower)
                for place in near
            ),
            "prompt_list": self._in_list_of_questions() and not self.facts.opens_with_questions,
            "siblings": any(self._is_sibling(place) for place in (before, after)),
        }

    def _is_answered(self, follows: str) -> bool:
        language = self.language
        if language.what_if_patterns.found(self.sentence.lower):
            return False
        why = language.why_words.found(self.sentence.words, "") and self._is_open()
        return language.answer_start_patterns.found(follows) or (
            why and language.because_patterns.found(follows)
        )

    def _following_lower(self) -> str:
        """The sentence right after it, in the same block or the one below; empty after another question."""
        after = self.around.at(1)
        if after is None or after[0].section != self.part.section or after[1].text.endswith("?"):
            return ""
        if self.part.block.kind is BlockKind.LIST_ITEM and after[0].index != self.part.index:
            return ""
        return after[1].lower.lstrip("*_\"“«'‘(–—- ")

    def _is_sibling(self, place: tuple[Part, Sentence] | None) -> bool:
        return (
            place is not None
            and place[0].section == self.part.section
            and place[1].text.endswith("?")
            and self._speaks_to_reader(place[1])
        )


def is_open(lower: str, language: Language) -> bool:
    """True when an asking word opens a question (in lower case), if need be after a preposition or `and`."""
    first = re.findall(r"[^\W_]+(?:'[^\W_]+)?", lower)[:3]
    head = " ".join(first)
    asking = [language.open_words.found(frozenset({word}), head) for word in first]
    return any(asking[:2]) or (len(first) > 2 and asking[2] and len(first[0]) <= 3)


def _open_quote(text: str) -> bool:
    """True when a quotation mark in `text` is still open at its end."""
    depth = 0
    straight = 0
    for mark in _QUOTES.findall(text):
        if mark == '"':
            straight ^= 1
        elif mark in "“«" or mark == "„":
            depth += 1
        else:
            depth = max(0, depth - 1)
    if text.count("„") and depth:
        depth -= min(depth, text.count("“"))
    return depth > 0 or straight == 1
