"""One post in, one question and one example out: word for word, or an honest "none"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.condense.choose import Choice, RankedExample, RankedQuestion, choose, shortlist
from pipeline.condense.chooser import Chooser, ChooserFailed, Offer
from pipeline.condense.editor import editors_quote
from pipeline.condense.examples import find_examples
from pipeline.condense.findings import find_findings
from pipeline.condense.language import Language, known_languages, load_language
from pipeline.condense.layout import lay_out
from pipeline.condense.questions import find_questions
from pipeline.condense.text_facts import read_facts
from pipeline.condense.weights import Weights, load_weights
from pipeline.post import Condensed, Post, Quote, checked_quote


def condense(
    post: Post,
    *,
    question: str | None = None,
    example: str | None = None,
    sent: Sequence[str] = (),
    chooser: Chooser | None = None,
    candidates: bool = False,
    weights: Weights | None = None,
) -> Condensed:
    """The question and the example of a post, each a span of `post.text`, or the reason why there is none.

    `question` and `example` are the editor's words for this week; they win over those in the post's front
    matter, and those over everything found. `sent` are the questions of earlier editions, for the finding
    "close to one already sent". With `candidates` the answer holds all that was weighed, with scores and
    reasons. `chooser` may pick among the good candidates; whatever goes wrong with it leaves the built-in
    choice and a note among the findings. Without a chooser the same post always gives the same answer.
    """
    language = load_language(post.language)
    mine = editors_quote(post, question or post.question or "", "question")
    my_example = editors_quote(post, example or post.example or "", "example")
    if mine is not None and my_example is not None and not candidates:
        found = Condensed(post=post, question=mine, example=my_example)
    elif language is None:
        found = _unknown_language(post)
    else:
        found = _search(post, language, weights or load_weights(), chooser, candidates)
    if mine is not None:
        found = replace(found, question=mine, no_question=None)
    if my_example is not None:
        found = replace(found, example=my_example, no_example=None)
    if language is not None:
        looked_at = find_findings(post, found.question, found.example, language, sent)
        found = replace(found, findings=found.findings + looked_at)
    return found


def _unknown_language(post: Post) -> Condensed:
    reason = f"there are no rules for the language “{post.language}”, only for {', '.join(known_languages())}"
    return Condensed(post=post, question=None, example=None, no_question=reason, no_example=reason)


def _search(
    post: Post, language: Language, weights: Weights, chooser: Chooser | None, candidates: bool
) -> Condensed:
    choice = weigh(post, language, weights)
    found = _answer(post, choice, weights)
    if candidates:
        found = replace(found, candidates=_candidates(post, choice, weights))
    return found if chooser is None else _ask(chooser, found, choice, weights)


def weigh(post: Post, language: Language, weights: Weights) -> Choice:
    """All candidates of a post with their scores, and the choice among them."""
    parts = lay_out(post, language)
    facts = read_facts(post.text, parts, language)
    questions = find_questions(post, parts, language, facts)
    examples = find_examples(post, parts, language, facts)
    return choose(questions, examples, weights=weights, language=language)


def _ask(chooser: Chooser, found: Condensed, choice: Choice, weights: Weights) -> Condensed:
    """The chooser's pick among the candidates that are good enough; the built-in one when it fails."""
    questions, examples = shortlist(choice, weights)
    offered_q = [_question_quote(found.post, q, weights) for q in questions]
    offered_e = [_example_quote(found.post, e, weights) for e in examples]
    if len(offered_q) + len(offered_e) < 3 or not offered_q or not offered_e:
        return found
    offer = Offer(
        language=found.post.language,
        questions=tuple(quote.text for quote in offered_q),
        examples=tuple(quote.text for quote in offered_e),
    )
    try:
        picked = chooser.pick(offer)
    except ChooserFailed as error:
        return replace(found, findings=(f"the language model's choice was not used: {error}",))
    return replace(found, question=offered_q[picked.question], example=offered_e[picked.example])


def _answer(post: Post, choice: Choice, weights: Weights) -> Condensed:
    question = _question_quote(post, choice.question, weights) if choice.question else None
    example = _example_quote(post, choice.example, weights) if choice.example else None
    return Condensed(
        post=post,
        question=question,
        example=example,
        no_question=None if question else _why_no_question(choice, weights),
        no_example=None if example else _why_no_example(post, choice, weights),
    )


def _candidates(post: Post, choice: Choice, weights: Weights) -> tuple[Quote, ...]:
    questions = [_question_quote(post, q, weights) for q in choice.questions]
    examples = [_example_quote(post, e, weights) for e in choice.examples[:MOST_EXAMPLES_SHOWN]]
    return (*questions, *examples)


MOST_EXAMPLES_SHOWN = 60


def _question_quote(post: Post, ranked: RankedQuestion, weights: Weights) -> Quote:
    sentence = ranked.candidate.sentence
    reasons = weights.question.explain(ranked.candidate.reasons)
    section = ranked.candidate.part.heading
    return checked_quote(post, sentence.start, sentence.end, "question", section, ranked.score, reasons)


def _example_quote(post: Post, ranked: RankedExample, weights: Weights) -> Quote:
    candidate = ranked.candidate
    reasons = weights.example.explain(candidate.reasons)
    section = candidate.part.heading
    return checked_quote(post, candidate.start, candidate.end, "example", section, ranked.score, reasons)


def _why_no_question(choice: Choice, weights: Weights) -> str:
    if not choice.questions:
        return "there is no question in the text"
    best = choice.questions[0].candidate
    return _best_is_weak(best.sentence.text, weights.question.explain(best.reasons))


def _why_no_example(post: Post, choice: Choice, weights: Weights) -> str:
    if not choice.examples:
        return "there is no passage long enough to be an example"
    best = choice.examples[0].candidate
    return _best_is_weak(post.text[best.start : best.end], weights.example.explain(best.reasons))


def _best_is_weak(text: str, reasons: tuple[str, ...]) -> str:
    against = [reason.split(" ", 1)[1] for reason in reasons if reason.startswith("-")]
    line = text.replace("\n", " ")
    short = line if len(line) <= 80 else line[:79].rsplit(" ", 1)[0] + "…"
    why = "; ".join(against[:3]) or "too little speaks for it"
    return f"the best one found, “{short}”, is not good enough: {why}"
