"""Every language file against its fixtures: what a letter may ask and show, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.condense import condense
from pipeline.condense.language import known_languages
from pipeline.post import Condensed
from pipeline.reading import read_post

CASES = Path(__file__).parent / "condense_cases"


def load(code: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CASES / f"{code}.yaml").read_text("utf-8"))
    return content


def condense_text(text: str, code: str) -> Condensed:
    return condense(read_post(text.encode(), name="post.txt", language=code))


def each(key: str) -> list[tuple[str, str]]:
    return [(code, text) for code in known_languages() for text in load(code)[key]]


def each_trap() -> list[tuple[str, str, str]]:
    return [
        (code, trap, text)
        for code in known_languages()
        for trap, texts in load(code)["bad"].items()
        for text in texts
    ]


@pytest.mark.parametrize("code", known_languages())
def test_every_language_has_fixtures(code):
    cases = load(code)
    assert len(cases["good"]) >= 10
    assert len(cases["bad"]) >= 7
    assert cases["examples_good"]
    assert cases["examples_bad"]


@pytest.mark.parametrize(("code", "question"), each("good"))
def test_a_good_question_is_taken_word_for_word(code, question):
    cases = load(code)
    found = condense_text(f"{cases['before']}\n\n{question}\n\n{cases['after']}", code)
    assert found.question is not None, found.no_question
    assert found.question.text == question


@pytest.mark.parametrize(("code", "trap", "text"), each_trap())
def test_a_trap_is_not_taken(code, trap, text):
    cases = load(code)
    found = condense_text(f"{cases['before']}\n\n{text}\n\n{cases['after']}", code)
    assert found.question is None
    assert found.no_question


@pytest.mark.parametrize(("code", "example"), each("examples_good"))
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_scene_is_preferred_to_advice_definition_and_offer(code, example, place):
    paragraphs = list(load(code)["examples_bad"])
    paragraphs.insert(place, example)
    found = condense_text("\n\n".join(paragraphs), code)
    assert found.example is not None, found.no_example
    assert found.example.text == example


@pytest.mark.parametrize(("code", "passage"), each("examples_bad"))
def test_a_passage_without_a_scene_is_no_example(code, passage):
    found = condense_text(passage, code)
    assert found.example is None
    assert found.no_example
