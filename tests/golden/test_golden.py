"""Every golden letter is what it was, byte for byte; and holds what every letter must hold."""

from __future__ import annotations

import mailbox
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emails.delivery import Recipient
from emails.message import build_message
from emails.words import languages
from pipeline.check import Sample, Severity, inspect
from tests import mime
from tests.arabic import arabic_words
from tests.golden.editions import Golden, families, golden
from tests.golden.make import LETTERS
from tests.letters import UNSUBSCRIBE, mailing

FAMILIES = [pytest.param(*family, id="-".join(family)) for family in families()]
SENT = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)
MEANT = {
    "link-placeholder": {"hostile"},
    "left-over": {"hostile"},
    "headings": {"long-words", "hostile"},
    "shouting": {"quotes", "hostile", "emoji"},
    "link-host": set[str](),
}
"""Checks that are to find something, in the editions made for it; anything else is a fault."""


@pytest.fixture(scope="module", autouse=True)
def arabic() -> Iterator[None]:
    with arabic_words():
        yield


def message(one: Golden) -> bytes:
    newsletter = one.content.newsletter if one.content else None
    sent = mailing(one.letter, newsletter) if newsletter else mailing(one.letter)
    reader = Recipient(
        delivery_id="d-1",
        address="anna@lezer.example",
        name="Anna",
        unsubscribe_url=UNSUBSCRIBE,
        message_id="<2026-11-29.k3v9@stillewateren.example>",
    )
    return build_message(sent, reader, date=SENT)


@pytest.mark.standard("C-09")
@pytest.mark.parametrize(("design", "language"), FAMILIES)
def test_byte_for_byte(design: str, language: str) -> None:
    kept = {file.with_suffix("").name for file in (LETTERS / design / language).glob("*.html")}
    made = {one.name: one for one in golden(design, language)}
    assert kept == set(made), "run: python -m tests.golden.make"
    assert len(made) >= 14
    for name, one in made.items():
        file = LETTERS / design / language / name
        assert one.letter.html == file.with_suffix(".html").read_text("utf-8"), (
            f"{file}: look, then make anew"
        )
        text = f"Subject: {one.letter.subject}\n\n{one.letter.text}"
        assert text == file.with_suffix(".txt").read_text("utf-8"), f"{file}: look, then make anew"


def test_every_language_that_ships_is_kept() -> None:
    assert {language for _, language in families()} == set(languages())


def test_nothing_is_kept_that_is_not_made() -> None:
    found = {file.parent.relative_to(LETTERS).as_posix() for file in LETTERS.rglob("*.html")}
    assert found == {"/".join(family) for family in families()}


@pytest.mark.standard("Z-01")
@pytest.mark.standard("M-01")
@pytest.mark.standard("M-02")
@pytest.mark.standard("H-12")
@pytest.mark.parametrize(("design", "language"), FAMILIES)
def test_each_is_a_small_sound_message(design: str, language: str) -> None:
    for one in golden(design, language):
        raw = message(one)
        assert len(raw) < 40_000, one.path
        assert raw.isascii()
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        assert [head["Content-Type"] for head, _ in mime.parts(raw)] == [
            "text/plain; charset=utf-8",
            "text/html; charset=utf-8",
        ]
        assert mime.decode(mime.header(raw, "Subject")) == one.letter.subject


@pytest.mark.standard("A-06")
@pytest.mark.standard("C-13")
@pytest.mark.standard("K-04")
@pytest.mark.parametrize(("design", "language"), FAMILIES)
def test_the_pre_flight_finds_no_error(design: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.check.spamassassin.installed", lambda: False)
    for one in golden(design, language):
        if one.content is None:
            continue
        sample = Sample(
            mailing=mailing(one.letter, one.content.newsletter),
            question=one.content.question,
            example=one.content.example,
            post_title=one.content.post_title,
            post_url=one.content.post_url,
        )
        for finding in inspect(sample):
            meant = one.name in MEANT.get(finding.id, set())
            if finding.severity is Severity.ERROR or finding.id in ("client-support", "contrast-forced"):
                assert meant, f"{one.path}: {finding}"


@pytest.mark.standard("L-01")
@pytest.mark.standard("L-02")
@pytest.mark.standard("L-03")
@pytest.mark.parametrize("design", ["card", "plain", "quiet"])
def test_right_to_left_letters(design: str) -> None:
    for one in golden(design, "ar"):
        html = one.letter.html
        assert 'lang="ar" dir="rtl"' in html
        assert re.search(r'<div role="article"[^>]* dir="rtl"', html)
        body = html[html.index("<body") :]
        if one.name not in ("dutch-post", "draft-ready", "draft-held", "run-report"):
            assert all(re.search(' dir="(rtl|ltr)"', tag) for tag in re.findall(r"<(?:p|h1|h2) [^>]*>", body))
        assert "text-align:right" in body
        assert "text-align:left" not in re.sub(r'<[^>]* lang="(?:nl|en)"[^>]*>', "", body)
        assert "letter-spacing" not in body
        heights = [float(height) for height in re.findall(r"line-height:(\d\.\d+)", body)]
        assert heights
        assert min(heights) >= 1.4
        for stack in re.findall(r"font-family:([^;>]+?)(?:;|'>|\">)", body):
            assert "Naskh Arabic" in stack or "monospace" in stack, stack
        if one.name == "usual":
            assert '<span dir="ltr">Marijke van Dam</span>)' in body
            assert '<span dir="ltr">Stille wateren</span>, 29' in body
            assert "\n\u200fStille wateren, 29 نوفمبر 2026\n" in one.letter.text
        for line in one.letter.text.splitlines():
            assert not re.search("[\u200e\u202a-\u202e\u2066-\u2069]", line)
            assert not line.startswith("\u200f") or re.match("\u200f[^\u0600-\u06ff]*[A-Za-z]", line)


@pytest.mark.standard("T-01")
def test_spamassassin_gives_each_less_than_one_point(tmp_path: Path) -> None:
    """One process for all: `--mbox`. The local rules only."""
    if shutil.which("spamassassin") is None:
        pytest.skip("no SpamAssassin here: install it (Debian: spamassassin)")
    everything = bool(os.environ.get("WEEKBRIEF_ALL_LETTERS"))
    chosen = [
        one
        for design, language in families()
        for one in golden(design, language)
        if everything or one.name == "usual" or (language == "nl" and design == "card")
    ]
    box = mailbox.mbox(tmp_path / "letters.mbox")
    for one in chosen:
        box.add(message(one).replace(b"\r\n", b"\n"))
    box.close()
    done = subprocess.run(
        ["spamassassin", "--local", "--mbox", str(tmp_path / "letters.mbox")],
        capture_output=True,
        timeout=280,
        check=True,
    )
    scores = [float(score) for score in re.findall(rb"X-Spam-Status: \w+, score=(-?[\d.]+)", done.stdout)]
    assert len(scores) == len(chosen) > 20
    worst = max(zip(scores, (one.path for one in chosen), strict=True))
    assert worst[0] < 1.0, worst
