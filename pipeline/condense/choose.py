"""Choosing one question and one example that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.condense.examples import ExampleCandidate
from pipeline.condense.language import Language
from pipeline.condense.questions import QuestionCandidate
from pipeline.condense.themes import themes
from pipeline.condense.weights import Weights

WEIGHED = 12
"""So many of the best questions and examples are tried together."""
APART = -2.0
"""For a question that is part of the example: the letter would say it twice."""


@dataclass(frozen=True, slots=True)
class RankedQuestion:
    """A question with its score."""

    candidate: QuestionCandidate
    score: float


@dataclass(frozen=True, slots=True)
class RankedExample:
    """An example with its score."""

    candidate: ExampleCandidate
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and all candidates, best first."""

    question: RankedQuestion | None
    example: RankedExample | None
    questions: tuple[RankedQuestion, ...]
    examples: tuple[RankedExample, ...]


def choose(
    questions: Sequence[QuestionCandidate],
    examples: Sequence[ExampleCandidate],
    *,
    weights: Weights,
    language: Language,
) -> Choice:
    """The pair with the highest sum of both scores and of what ties the two together.

    A question or example below its scale's `enough` is not chosen; then the other one stands alone. Equal
    sums go to the pair that stands first in the post.
    """
    ranked = Choice(
        question=None,
        example=None,
        questions=rank_questions(questions, weights),
        examples=rank_examples(examples, weights),
    )
    good_q, good_e = shortlist(ranked, weights)
    about_q = [themes(q.candidate.sentence.lower, language) for q in good_q]
    about_e = [themes(" ".join(e.candidate.vocabulary), language) for e in good_e]
    pairs = [
        (q.score + e.score + tie(q.candidate, e.candidate, len(mine & theirs), weights), q, e)
        for q, mine in zip(good_q, about_q, strict=True)
        for e, theirs in zip(good_e, about_e, strict=True)
    ]
    question = good_q[0] if good_q else None
    example = good_e[0] if good_e else None
    if pairs:
        _, question, example = max(
            pairs, key=lambda p: (round(p[0], 4), -p[1].candidate.sentence.start, -p[2].candidate.start)
        )
    return replace(ranked, question=question, example=example)


def shortlist(choice: Choice, weights: Weights) -> tuple[list[RankedQuestion], list[RankedExample]]:
    """The questions and examples that are good enough to be sent, the best first, a dozen of each at most."""
    questions = [q for q in choice.questions if q.score >= weights.question.enough][:WEIGHED]
    return questions, _varied([e for e in choice.examples if e.score >= weights.example.enough])


def rank_questions(questions: Sequence[QuestionCandidate], weights: Weights) -> tuple[RankedQuestion, ...]:
    """All questions, the best first; equal scores in the order of the post."""
    ranked = [RankedQuestion(q, weights.question.score(q.reasons)) for q in questions]
    return tuple(sorted(ranked, key=lambda q: (-q.score, q.candidate.sentence.start)))


def rank_examples(examples: Sequence[ExampleCandidate], weights: Weights) -> tuple[RankedExample, ...]:
    """All examples, the best first; equal scores in the order of the post, the longer first."""
    ranked = [RankedExample(e, weights.example.score(e.reasons)) for e in examples]
    return tuple(sorted(ranked, key=lambda e: (-e.score, e.candidate.start, -e.candidate.end)))


def _varied(examples: Sequence[RankedExample]) -> list[RankedExample]:
    """The best ones, at most three that begin at the same place."""
    begun: dict[int, int] = {}
    kept = []
    for example in examples:
        start = example.candidate.start
        begun[start] = begun.get(start, 0) + 1
        if begun[start] <= 3:
            kept.append(example)
        if len(kept) == WEIGHED:
            break
    return kept


def tie(question: QuestionCandidate, example: ExampleCandidate, shared: int, weights: Weights) -> float:
    """What binds the two: the same section, nearness, and the number of `shared` themes."""
    if question.sentence.start < example.end and example.start < question.sentence.end:
        return APART
    bond = weights.pair["same_section"] if question.part.section == example.part.section else 0.0
    before, after = question.part.index - example.part.index, question.part.index - example.last.index
    bond += weights.pair["near"] / (1 + 0.5 * min(abs(before), abs(after)))
    return bond + min(weights.pair["most_shared"], shared * weights.pair["shared_word"])
