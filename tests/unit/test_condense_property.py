"""Whatever text goes in: verbatim or none, the same twice, no exception, time that grows with "
"length only."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.condense import condense
from pipeline.post import Post
from pipeline.reading import Unreadable, read_post

WORDS = [
    "Wat heb jij nodig om los te laten?",
    "Voorbeeld: gisteren zat ik op de trap.",
    "“Waarom?” vroeg hij.",
    "💡 Wanneer ben jij stil?",
    "# Kop",
    "- punt",
    "1. een",
    "> citaat",
    "```",
    "<p>Wie ben je?</p>",
    "<div",
    "</div>",
    "---",
    "title: x",
    "{{< x >}}",
    "[a](b)",
    "*",
    "¿Quién eres tú?",
    "Qui es-tu ?",
    "\u00ad",
    "\u00a0",
    "…",
    "\n\n",
    "\n",
    " ",
    "?",
    "שלום",
    "你好吗？",
]
TEXTS = st.one_of(st.text(max_size=400), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
NAMES = st.sampled_from(["a.md", "a.html", "a.txt"])
LANGUAGES = st.sampled_from([None, "nl", "en", "de", "fr", "es", "xx"])


def read(text: str, name: str, language: str | None) -> Post | None:
    try:
        return read_post(text.encode("utf-8", "surrogatepass"), name=name, language=language)
    except Unreadable:
        return None


@settings(max_examples=250, deadline=None)
@given(text=TEXTS, name=NAMES, language=LANGUAGES)
def test_the_answer_is_verbatim_or_none_and_the_same_twice(text, name, language):
    post = read(text, name, language)
    if post is None:
        return
    found = condense(post, candidates=True)
    assert found == condense(post, candidates=True)
    for quote in (found.question, found.example, *found.candidates):
        if quote is not None:
            assert post.text[quote.start : quote.end] == quote.text
            assert quote.text.strip()
    assert (found.question is None) == (found.no_question is not None)
    assert (found.example is None) == (found.no_example is not None)


@settings(max_examples=250, deadline=None)
@given(text=TEXTS, name=NAMES)
def test_blocks_are_ordered_spans_of_the_normalised_text(text, name):
    post = read(text, name, "nl")
    if post is None:
        return
    end = 0
    for block in post.blocks:
        assert end <= block.start < block.end <= len(post.text)
        assert post.text[block.start : block.end].strip() == post.text[block.start : block.end]
        end = block.end
    assert "\r" not in post.text
    assert "\u00ad" not in post.text
    assert "  " not in post.text


UNIT = (
    "Wat heb jij nodig om los te laten? Gisteren belde mijn moeder en ze zei: “Ik mis je.” Ik "
    "stond in de keuken. "
)
BOMB = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
HOSTILE = {
    "five megabytes": (UNIT + "\n\n") * 46_000,
    "one line of two megabytes": UNIT * 18_000,
    "a hundred thousand question marks": "?" * 100_000,
    "a hundred thousand questions": "Wat wil jij? \n\n" * 100_000,
    "open quotes": "“" * 500_000,
    "open brackets": "[" * 500_000,
    "open links": "[a](b" * 200_000,
    "stars": "*a " * 200_000,
    "deep elements": "<div>" * 200_000,
    "open tags": "<a " * 200_000,
    "braces": "{{" * 300_000,
    "liquid": "{%" * 300_000,
    "footnotes": "[^" * 200_000,
    "spaces": " " * 2_000_000 + "a",
    "one long word": "a" * 2_000_000,
    "many long lines": ("[a](*b " * 2_800 + "\n\n") * 20,
    "combining marks": "e" + "\u0301" * 300_000,
    "a row of signs": "🧘\u200d♀\ufe0f" * 60 + " Even stilstaan.\n\n" + UNIT,
    "a row of signs before a question": "🧘🏽\u200d♀\ufe0f" * 60 + " Sta stil. Wat wil jij loslaten?",
    "a long word after a sign": "💡 " + "_" * 3_000 + "! " + UNIT,
    "a sign and no spaces": "💡 " + "字" * 20_000 + "！ " + UNIT,
    "a bomb of aliases": f"---\na0: &a0 [x, x]\n{BOMB}---\nhoi\n",
}


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.txt"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_read_in_bounded_time(case, name):
    began = time.process_time()
    post = read(HOSTILE[case], name, "nl")
    if post is not None:
        found = condense(post)
        for quote in (found.question, found.example):
            assert quote is None or post.text[quote.start : quote.end] == quote.text
    assert time.process_time() - began < 15


def test_time_grows_with_length():
    def seconds(times: int) -> float:
        raw = ((UNIT + "\n\n") * times).encode()
        best = 9e9
        for _ in range(2):
            began = time.process_time()
            condense(read_post(raw, name="a.md", language="nl"))
            best = min(best, time.process_time() - began)
        return best

    small, large = seconds(1_500), seconds(12_000)
    assert large < 8 * small * 2.5
