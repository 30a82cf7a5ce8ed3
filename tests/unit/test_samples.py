"""The sample content: posts are read and condensed as their marks ask, and subscribers are addresses."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.condense import condense
from pipeline.post import Block, BlockKind, Condensed, Post, Quote
from pipeline.sources.folder import read_folder
from subscribers.addresses import clean_name, normalise

SAMPLES = Path(str(resources.files("pipeline"))) / "samples"
DUTCH = {post.key: post for post in read_folder(SAMPLES / "posts", language="nl").posts}
ENGLISH = {post.key: post for post in read_folder(SAMPLES / "posts_en", language="en").posts}
MARK = "💡"
APART = re.compile(
    r"Veelgestelde vragen|Elke zondag|Frequently asked|Want more|You might also|One small thing"
)

GOOD_ENGLISH_QUESTIONS = {
    "the-second-cup.html": {"Which of your own habits still sets a place for someone who has gone?"},
    "2026-11-08-driving-home-without-the-radio.txt": {
        "What would you hear on your way home if nothing was playing?"
    },
    "the-plot-by-the-railway.md": {"What are you still tending because someone you loved once tended it?"},
    "six-small-things-to-put-down.md": {
        "In which conversation could you let the other person have the last word?",
        "What detour are you still making because of something that happened long ago?",
        "What are you saving for a day that may never be special enough?",
    },
}


@pytest.fixture(scope="module")
def condensed() -> dict[str, Condensed]:
    return {key: condense(post) for key, post in (DUTCH | ENGLISH).items()}


# Reading


@pytest.mark.parametrize(("folder", "language", "count"), [("posts", "nl", 8), ("posts_en", "en", 4)])
def test_every_sample_post_is_read_in_its_language(folder: str, language: str, count: int) -> None:
    result = read_folder(SAMPLES / folder, language="fr")

    assert result.problems == ()
    assert [post.language for post in result.posts] == [language] * count


def test_the_posts_are_a_week_apart_and_the_english_ones_follow_the_dutch() -> None:
    days = [post.published for posts in (DUTCH, ENGLISH) for post in sorted(posts.values(), key=_published)]

    assert {day.strftime("%A") for day in days} == {"Sunday"}
    assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(weeks=1)}


@pytest.mark.parametrize("key", DUTCH)
def test_a_dutch_post_has_the_form_of_the_first_user(key: str) -> None:
    post = DUTCH[key]
    paragraphs = [_text(post, block) for block in post.blocks]

    assert 700 <= len(re.findall(r"\w[\w’'-]*", post.text)) <= 1100
    assert len(_marked_questions(post)) == len(_marked_examples(post)) == 4
    assert any("Lees meer in: " in text and "?" in text for text in paragraphs)
    assert any(text.startswith("Veelgestelde vragen over ") for text in paragraphs)
    assert sum(" → " in text for text in paragraphs) == 3


@pytest.mark.parametrize("key", DUTCH)
def test_the_lead_of_a_post_is_its_opening_and_not_its_reading_time(key: str) -> None:
    assert len(DUTCH[key].lead.split()) > 10
    assert not re.match(r"\d+ min", DUTCH[key].lead)


def test_the_posts_are_our_own(shared: Path) -> None:
    seed = _sentences((shared / "seed" / "de-kracht-van-empathie.txt").read_text(encoding="utf-8"))

    ours = {sentence for post in DUTCH.values() for sentence in _sentences(post.text)}

    assert len(seed) > 100
    assert ours & seed == set()


# Condensing


@pytest.mark.parametrize("key", DUTCH)
def test_a_dutch_post_gives_a_marked_question_and_an_example_of_the_same_section(
    key: str, condensed: dict[str, Condensed]
) -> None:
    post, question, example = _picked(condensed[key])

    assert question.text in _marked_questions(post)
    assert any(example.text in marked for marked in _marked_examples(post))
    assert _heading_over(post, question) == _heading_over(post, example)


@pytest.mark.parametrize("key", ENGLISH)
def test_an_english_post_gives_a_question_that_its_reader_can_carry(
    key: str, condensed: dict[str, Condensed]
) -> None:
    post, question, example = _picked(condensed[key])

    assert question.text in GOOD_ENGLISH_QUESTIONS[key]
    assert 20 <= len(example.text.split()) <= 150
    assert post.text[example.start : example.end] == example.text


@pytest.mark.parametrize("key", sorted({*DUTCH, *ENGLISH} - {"the-plot-by-the-railway.md"}))
def test_nothing_is_picked_from_headings_questions_and_answers_sign_up_or_teasers(
    key: str, condensed: dict[str, Condensed]
) -> None:
    post, *quotes = _picked(condensed[key])
    apart = [block for block in post.blocks if _stands_apart(post, block)]

    assert apart
    assert [q.text for q in quotes for b in apart if q.start < b.end and b.start < q.end] == []


# Subscribers


def test_the_sample_subscribers_are_25_people_at_example_domains() -> None:
    rows = _subscribers()
    addresses = [normalise(row["email"]) for row in rows]

    assert len({address.key for address in addresses}) == len(rows) == 25
    assert {address.address.rpartition("@")[2] for address in addresses} == {
        "example.org",
        "example.com",
        "example.net",
    }
    assert Counter(row["language"] for row in rows) == {"nl": 22, "en": 3}


def test_the_names_of_the_sample_subscribers_are_kept_as_written() -> None:
    names = [row["name"] for row in _subscribers()]

    assert [clean_name(name) for name in names] == names
    assert "Groot, Karel de" in names
    assert "" in names


def _subscribers() -> list[dict[str, str]]:
    with (SAMPLES / "subscribers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _published(post: Post) -> object:
    return post.published


def _picked(result: Condensed) -> tuple[Post, Quote, Quote]:
    assert result.question, result.no_question
    assert result.example, result.no_example
    return result.post, result.question, result.example


def _text(post: Post, block: Block) -> str:
    return post.text[block.start : block.end]


def _marked_questions(post: Post) -> list[str]:
    texts = [_text(post, block) for block in post.blocks]
    return [text.removeprefix(MARK).strip() for text in texts if text.startswith(MARK)]


def _marked_examples(post: Post) -> list[str]:
    texts = [_text(post, block) for block in post.blocks]
    return [text for text in texts if text.startswith("Voorbeeld:")]


def _heading_over(post: Post, quote: Quote) -> str:
    return _heading_before(post, quote.start)


def _heading_before(post: Post, position: int) -> str:
    headings = [b for b in post.blocks if b.kind is BlockKind.HEADING and b.end <= position]
    return _text(post, headings[-1]) if headings else ""


def _stands_apart(post: Post, block: Block) -> bool:
    """True for what a letter must never quote, by where it stands in our own posts."""
    text = _text(post, block)
    return (
        block.kind is BlockKind.HEADING
        or bool(APART.match(_heading_before(post, block.start)))
        or "Lees meer in: " in text
        or "in the comments" in text
    )


def _sentences(text: str) -> set[str]:
    """Sentences of six words and more, without case and marks."""
    plain = (" ".join(re.findall(r"\w+", sentence.lower())) for sentence in re.split(r"[.!?…:;\n]+", text))
    return {sentence for sentence in plain if len(sentence.split()) >= 6}
