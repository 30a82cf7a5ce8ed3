"""The gate: nothing but a cited span of the stored post, or the editor's own words, gets through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.condense import condense
from pipeline.post import Brief, NotVerbatim, Quote, checked_quote
from pipeline.reading import read_post

TEXT = "Gisteren zat ik op de trap.\n\nWat heb jij vandaag nodig om tot rust te komen?\n"
POST = read_post(TEXT.encode(), name="a.md", language="nl")


def quote(text: str) -> Quote:
    start = POST.text.index(text)
    return Quote(text=text, start=start, end=start + len(text))


QUESTION, EXAMPLE = (
    quote("Wat heb jij vandaag nodig om tot rust te komen?"),
    quote("Gisteren zat ik op de trap."),
)


def test_two_cited_spans_make_a_brief():
    assert Brief(post=POST, question=QUESTION, example=EXAMPLE).question.text in POST.text


@pytest.mark.parametrize(
    "wrong",
    [
        replace(QUESTION, text="Wat heb jij vandaag nodig?"),
        replace(QUESTION, text=QUESTION.text.lower()),
        replace(QUESTION, start=QUESTION.start + 1),
        replace(QUESTION, end=QUESTION.end - 1),
        replace(QUESTION, start=-len(QUESTION.text), end=len(POST.text)),
        replace(QUESTION, text="", start=0, end=0),
        replace(QUESTION, text="  ", start=0, end=2),
        None,
        (QUESTION, QUESTION),
        QUESTION.text,
    ],
)
@pytest.mark.parametrize("half", ["question", "example"])
def test_anything_else_is_refused(half, wrong):
    halves = {"question": QUESTION, "example": EXAMPLE, half: wrong}
    with pytest.raises(NotVerbatim):
        Brief(post=POST, **halves)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (9, 3), (0, 10_000), (27, 29)])
def test_a_quote_outside_the_text_cannot_be_built(start, end):
    with pytest.raises(NotVerbatim):
        checked_quote(POST, start, end, "question", "", 0.0, ())


def test_the_editors_words_in_front_matter_win_and_are_cited_when_they_stand_in_the_post():
    head = "---\nquestion: Wat heb jij vandaag nodig om   tot rust te komen?\n---\nWaar ben jij bang voor?"
    raw = f"{head}\n\n{TEXT}"
    found = condense(read_post(raw.encode(), name="a.md", language="nl"))
    assert found.question is not None
    assert found.question.text == QUESTION.text
    assert not found.question.editor_written
    assert found.post.text[found.question.start : found.question.end] == QUESTION.text


def test_the_editors_own_words_are_marked_as_such():
    found = condense(replace(POST, question="Waar verlang jij naar?", example="Een stoel bij het raam."))
    brief = found.brief()
    assert brief is not None
    assert brief.question.editor_written
    assert brief.example.text == "Een stoel bij het raam."
    assert any("written by the editor" in finding for finding in found.findings)


def test_the_weeks_words_win_over_the_posts():
    found = condense(replace(POST, question="Waar verlang jij naar?"), question="Wat laat jij los?")
    assert found.question is not None
    assert found.question.text == "Wat laat jij los?"


def test_blank_words_of_the_editor_count_as_none():
    found = condense(replace(POST, question="  \n"))
    assert found.question is not None
    assert found.question.text == QUESTION.text
