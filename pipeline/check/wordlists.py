"""Words that checks look for, by language, from `words.yaml`."""

from __future__ import annotations

from functools import cache
from typing import cast

from pipeline.own_yaml import load_own


@cache
def _lists() -> dict[str, dict[str, list[str]]]:
    return cast("dict[str, dict[str, list[str]]]", load_own("pipeline.check", "words.yaml"))


@cache
def empty_link_texts() -> frozenset[str]:
    """Words that say nothing as a link, of every language."""
    return frozenset(text for texts in _lists()["empty_links"].values() for text in texts)


def spam_words(language: str) -> tuple[str, ...]:
    """What spam filters score in `language` and in English."""
    spam = _lists()["spam"]
    return (*spam.get(language.partition("-")[0], ()), *spam["en"])


def sample_words() -> tuple[str, ...]:
    """What stands in a place that was to be filled in."""
    return tuple(_lists()["samples"]["any"])
