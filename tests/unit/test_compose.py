"""What the letter says around its question and example."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emails.graphemes import graphemes, length, shorten
from emails.message import subject_problem
from emails.render import BadLink
from emails.words import UnknownLanguage, languages
from pipeline.compose import reading_minutes
from tests.letters import DAY, EXAMPLE, NEWSLETTER, QUESTION, content, in_language

LONG = "Wanneer zag jij voor het laatst hoe iemand iets losliet — en wat gebeurde er daarna om jullie heen?"


def test_the_letter_carries_the_brief_word_for_word() -> None:
    made = content()
    assert (made.question, made.example) == (QUESTION, EXAMPLE)
    assert (made.edition, made.date, made.language) == ("2026-11-29", DAY, "nl")
    assert made.post_title == "Het aanrecht mag blijven staan"
    assert made.newsletter == NEWSLETTER
    assert content() == made


def test_a_question_that_fits_is_the_subject() -> None:
    assert content().subject == QUESTION


def test_a_long_question_breaks_off_where_it_takes_a_breath() -> None:
    assert content(LONG).subject == "Wanneer zag jij voor het laatst hoe iemand iets losliet…"
    without = LONG.replace(" — ", " ")
    assert content(without).subject == "Het aanrecht mag blijven staan"
    assert content(without, title="").subject.endswith("…")


def test_a_question_that_shouts_is_not_the_subject() -> None:
    assert content("WAT LAAT JIJ LIGGEN?").subject == "Het aanrecht mag blijven staan"
    assert content("WAT LAAT JIJ LIGGEN?", title="RE: IETS").subject == "Een vraag om bij stil te staan"


def test_a_question_over_two_lines_is_one_line_as_subject() -> None:
    made = content("Wat laat jij liggen,\nvandaag?")
    assert made.subject == "Wat laat jij liggen, vandaag?"
    assert made.question == "Wat laat jij liggen,\nvandaag?"


@pytest.mark.standard("H-15")
@pytest.mark.standard("L-05")
@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.sampled_from("abc DEF,—:? éç\u0301👩🏽\u200d🌾🇳🇱 ") | st.characters(codec="utf-8"),
        min_size=1,
        max_size=200,
    )
)
def test_every_subject_can_be_sent(question: str) -> None:
    if question.strip():
        assert subject_problem(content(question.strip()).subject) is None


@pytest.mark.standard("P-01")
@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("title", ["", "Af", "Het aanrecht mag blijven staan", "T" * 70, "Lang " * 40])
def test_preheaders_have_the_right_length(language: str, title: str) -> None:
    made = content(newsletter=in_language(language), title=title)
    assert 85 <= length(made.preheader) <= 140
    assert length(made.preheader.split(".")[0]) <= 40, "the beginning makes sense alone"


@pytest.mark.standard("P-01")
def test_a_preheader_does_not_repeat_a_subject_that_is_the_title() -> None:
    made = content(LONG.replace(" — ", " "))
    assert made.subject == made.post_title
    assert made.post_title not in made.preheader


def test_reading_time_is_in_whole_minutes() -> None:
    assert [reading_minutes("woord " * count) for count in (0, 1, 220, 221, 2200)] == [1, 1, 1, 2, 10]


def test_the_lead_is_in_the_language_of_the_newsletter() -> None:
    assert content().lead.startswith("Je hoeft er niets mee.")
    assert content(newsletter=in_language("en")).lead.startswith("Nothing needs doing.")


@pytest.mark.standard("A-10")
def test_the_language_of_the_post_is_kept_when_it_differs() -> None:
    assert content().post_language == ""
    assert content(newsletter=in_language("en")).post_language == "nl"


def test_links_are_made_fit_and_bad_ones_refused() -> None:
    assert content(url="https://stil.example/één").post_url == "https://stil.example/%C3%A9%C3%A9n"
    assert content(url=None).post_url is None
    with pytest.raises(BadLink, match="https://"):
        content(url="/posts/een")


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(UnknownLanguage, match="choose one of"):
        content(newsletter=replace(NEWSLETTER, language="tlh"))


@pytest.mark.standard("L-05")
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("e\u0301e", 2),
        ("👩🏽\u200d🌾", 1),
        ("🇳🇱🇧🇪", 2),
        ("❤\ufe0f!", 2),
        ("नि", 1),
        ("a\u200d", 1),
    ],
)
def test_characters_as_a_reader_counts_them(text: str, count: int) -> None:
    assert length(text) == count
    assert "".join(graphemes(text)) == text


@pytest.mark.standard("L-05")
def test_cutting_between_words_and_never_inside_a_character() -> None:
    assert shorten("een twee drie", 13) == "een twee drie"
    assert shorten("een twee drie", 12) == "een twee…"
    assert shorten("een twee, drie", 11) == "een twee…"
    assert shorten("👩🏽\u200d🌾" * 5, 3) == "👩🏽\u200d🌾" * 2 + "…"
