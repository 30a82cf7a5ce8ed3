"""Latin words in right-to-left text."""

from __future__ import annotations

import pytest

from emails.bidi import fonts_for, isolate, mark_line


@pytest.mark.standard("L-02")
@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("كما تقول Marijke van Dam.", ["Marijke van Dam"]),
        ("(Marijke van Dam) و Anna", ["Marijke van Dam", "Anna"]),
        ("KvK 12345678", ["KvK 12345678"]),
        ("Stille wateren, 29 نوفمبر 2026", ["Stille wateren"]),
        ("اقرأ f(x) هنا", ["f(x)"]),
        ("https://a.example/x?y=1", ["https://a.example/x?y=1"]),
        ("29 نوفمبر 2026", []),
        ("<b>", ["b"]),
    ],
)
def test_runs(text: str, runs: list[str]) -> None:
    made = isolate(text)
    assert [piece.split("</span>")[0] for piece in made.split('<span dir="ltr">')[1:]] == runs
    assert made.striptags() == text or "<" in text


def test_what_is_escaped_stays_so() -> None:
    assert (
        isolate("<b> & 'x' ا")
        == '&lt;<span dir="ltr">b</span>&gt; &amp; &#39;<span dir="ltr">x</span>&#39; ا'
    )


@pytest.mark.standard("L-01")
@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("Stille wateren، 29 نوفمبر", "\u200fStille wateren، 29 نوفمبر"),
        ("https://a.example/", "https://a.example/"),
        ("نص Stille", "نص Stille"),
        ("", ""),
    ],
)
def test_a_text_line_that_starts_latin(line: str, marked: str) -> None:
    assert mark_line(line) == marked


@pytest.mark.standard("L-03")
def test_fonts() -> None:
    assert "Noto Naskh Arabic" in fonts_for("ar-EG")
    assert "Noto Sans Hebrew" in fonts_for("he")
    assert fonts_for("nl") == ""
