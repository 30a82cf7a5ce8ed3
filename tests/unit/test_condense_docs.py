"""The page for editors says what the program does: every reason with its weight, every language list."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.condense.language import Language
from pipeline.condense.weights import load_weights

PAGE = (Path(__file__).parents[2] / "docs" / "condensing.md").read_text("utf-8")


@pytest.mark.parametrize("kind", ["question", "example"])
def test_every_reason_is_explained_with_its_weight(kind):
    scale = getattr(load_weights(), kind)
    for name, words in scale.words.items():
        assert f"| `{name}` | {scale.weights[name]:+.1f} | {words} |" in PAGE, name
    assert f"offered from a score of {scale.enough}" in PAGE


def test_every_list_of_a_language_file_is_explained():
    for item in fields(Language):
        if item.name != "code":
            assert f"| `{item.name}` |" in PAGE, item.name
