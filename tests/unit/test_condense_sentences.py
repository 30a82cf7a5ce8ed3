"""Where a sentence ends, in five languages."""

from __future__ import annotations

import pytest

from pipeline.condense.language import load_language
from pipeline.condense.sentences import sentences


def split(text: str, code: str) -> list[str]:
    language = load_language(code)
    assert language is not None
    found = list(sentences(text, 0, len(text), language.abbreviations, language.ordinal_words))
    assert all(text[s.start : s.end] == s.text for s in found)
    return [sentence.text for sentence in found]


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("nl", ["Ik kocht o.a. brood, bijv. volkoren.", "Daarna niets."]),
        ("nl", ["Dhr. de Vries belde om 8.30 uur.", "Hij wachtte…", "Lang."]),
        ("nl", ["“Waarom?” vroeg hij.", "“Daarom!” zei ze."]),
        ("nl", ["Wat nu?!", "Niets."]),
        ("nl", ["Hij dacht na... en bleef zitten."]),
        ("en", ["Dr. Smith met Mrs. J. K. Brown, e.g. at noon.", "He left."]),
        ("en", ["She asked, “What do you need?”", "Nobody knew."]),
        ("en", ["It costs 3.50 today.", "Is that much?"]),
        ("de", ["Am 3. Januar kam z.B. Herr Dr. Maier.", "Er blieb."]),
        ("de", ["„Was brauchst du?“, fragte er.", "Ich schwieg."]),
        ("fr", ["Que veux-tu ?", "Rien !", "C'est tout."]),
        ("fr", ["« De quoi as-tu besoin ? » demanda-t-il.", "Elle se tut."]),
        ("fr", ["Que veux-tu\u00a0?", "Rien."]),
        ("es", ["¿Qué quieres?", "¡Nada!", "Y tú, ¿en cuál estás?"]),
        ("es", ["El Sr. López llegó a las 8.30 h.", "Se sentó."]),
    ],
)
def test_sentences(code, parts):
    assert split(" ".join(parts), code) == parts


def test_a_forced_line_break_ends_a_sentence():
    assert split("een regel\nnog een regel", "nl") == ["een regel", "nog een regel"]


def test_no_sentence_in_nothing():
    assert split(" \n ", "nl") == []
