"""Language files: complete, loadable, and clear about what is wrong with one."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources

import pytest
import yaml

from pipeline.condense.language import (
    BadLanguageFile,
    Language,
    Patterns,
    build_language,
    compile_words,
    known_languages,
    load_language,
)


def raw(code: str = "nl") -> dict[str, object]:
    source = resources.files("pipeline.condense").joinpath("languages", f"{code}.yaml").read_text("utf-8")
    content: dict[str, object] = yaml.load(source, Loader=yaml.BaseLoader)
    return content


def test_five_languages_are_known():
    assert known_languages() == ("de", "en", "es", "fr", "nl")
    assert load_language("xx") is None


@pytest.mark.parametrize("code", known_languages())
def test_each_has_the_same_lists(code):
    optional = {"second_person_patterns", "second_person_cased_patterns", "past_patterns", "ordinal_words"}
    assert set(raw(code)) - optional == set(raw()) - optional
    assert load_language(code) is not None


@pytest.mark.parametrize("code", known_languages())
def test_each_pattern_can_be_made(code):
    language = load_language(code)
    lists = [getattr(language, item.name) for item in fields(Language)]
    patterns = [value for value in lists if isinstance(value, Patterns)]
    assert len(patterns) > 20
    for one in patterns:
        assert (one.pattern is None) == (not one.entries)


def test_a_missing_list_is_named():
    content = raw()
    del content["lead_ins"]
    with pytest.raises(BadLanguageFile, match=r"xx\.yaml: .*lead_ins.* is missing"):
        build_language("xx", content)


def test_an_unknown_list_is_named():
    with pytest.raises(BadLanguageFile, match="unknown list vragen"):
        build_language("xx", {**raw(), "vragen": []})


def test_a_broken_pattern_is_named():
    broken = build_language("xx", {**raw(), "rhetorical_patterns": ["("]})
    with pytest.raises(BadLanguageFile, match=r"xx\.yaml: `rhetorical_patterns` holds no valid pattern"):
        broken.rhetorical_patterns.found("wat")


def test_a_list_must_be_a_list_of_words():
    with pytest.raises(BadLanguageFile, match="offer_words"):
        build_language("xx", {**raw(), "offer_words": "gratis"})


@pytest.mark.parametrize(
    ("entry", "text", "found"),
    [
        ("voel*", "hij voelde niets", True),
        ("voel*", "gevoel", False),
        ("laat los", "hij laat los", True),
        ("laat los", "laat het los", False),
        ("rust", "onrust", False),
        ("d'accord", "d'accord avec toi", True),
    ],
)
def test_words(entry, text, found):
    words = frozenset(text.split())
    assert compile_words([entry]).found(words, text) is found
