"""The pre-flight: each check finds what it is for in a letter broken by hand, and nothing in a good one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from emails.edition import Mailbox, Newsletter
from emails.render import designs, render
from pipeline.check import Sample, Severity, all_checks, inspect, spamassassin, support
from pipeline.check.colours import Scheme, pairs
from pipeline.check.online import PageAnswer
from pipeline.check.spamassassin import Verdict
from tests.letters import NEWSLETTER, content, in_language, mailing

Break = Callable[[Sample], Sample]


@pytest.fixture(autouse=True)
def no_spamassassin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spamassassin, "installed", lambda: False)


def sample(newsletter: Newsletter = NEWSLETTER, **changes: object) -> Sample:
    made = content("Wat laat jij vandaag liggen?", newsletter=newsletter)
    values = {
        "mailing": mailing(render(made), newsletter),
        "question": made.question,
        "example": made.example,
        "post_title": made.post_title,
        "post_url": made.post_url,
    }
    return Sample(**{**values, **changes})  # type: ignore[arg-type]  # tests name the fields they change


def html(old: str, new: str) -> Break:
    """The letter with a piece of its HTML exchanged."""

    def change(good: Sample) -> Sample:
        letter = good.mailing.letter
        assert re.search(old, letter.html), old
        broken = replace(letter, html=re.sub(old, lambda _: new, letter.html, count=1))
        return replace(good, mailing=replace(good.mailing, letter=broken))

    return change


def text(old: str, new: str) -> Break:
    def change(good: Sample) -> Sample:
        letter = good.mailing.letter
        assert re.search(old, letter.text), old
        broken = replace(letter, text=re.sub(old, lambda _: new, letter.text, count=1))
        return replace(good, mailing=replace(good.mailing, letter=broken))

    return change


def subject(new: str) -> Break:
    return lambda good: replace(
        good, mailing=replace(good.mailing, letter=replace(good.mailing.letter, subject=new))
    )


def letter_of(**changes: object) -> Break:
    """Another newsletter, rendered and sent."""
    return lambda _: sample(replace(NEWSLETTER, **changes))  # type: ignore[arg-type]  # tests name the fields


def sender(**changes: object) -> Break:
    """Another newsletter on the envelope alone."""
    return lambda good: replace(
        good, mailing=replace(good.mailing, newsletter=replace(good.mailing.newsletter, **changes))
    )  # type: ignore[arg-type]  # tests name the fields they change


LINK = "https://www.stillewateren.example/het-aanrecht-mag-blijven-staan"
IMAGE = '<img src="https://www.stillewateren.example/x.png" width="40" height="40" alt="Zee">'
BROKEN: dict[str, Break] = {
    "message-cannot-be-made": subject("a\nBcc: b@c.example"),
    "clipped-by-gmail": html("</blockquote>", "woord " * 18_000 + "</blockquote>"),
    "html-size": html("</blockquote>", "woord " * 6_000 + "</blockquote>"),
    "message-size": html("</blockquote>", "woord " * 6_000 + "</blockquote>"),
    "one-click": lambda good: replace(
        good, mailing=replace(good.mailing, newsletter=good.mailing.newsletter)
    ),
    "local-address": letter_of(url="http://localhost:8080"),
    "sender": sender(sender=Mailbox(address="no-reply@stillewateren.example"), reply_to=None),
    "subject": subject("Re: Wat laat jij vandaag liggen?"),
    "subject-long": subject("Wat laat jij vandaag liggen, en wie merkt dat als eerste op?"),
    "subject-shouts": subject("Wat laat jij VANDAAG liggen?"),
    "preheader-missing": html(r'<div class="preheader.*?</div>', ""),
    "preheader-length": html(r'(?<=mso-hide:all; color:#2f2b26">)[^<]+', "Kort."),
    "preheader-repeats": html(r'(?<=mso-hide:all; color:#2f2b26">)', "Wat laat jij vandaag liggen? "),
    "preheader-filler": html("</h1>", "\u200c\ufeff\u200c\ufeff</h1>"),
    "link-absolute": html(f'href="{LINK}"', 'href="/het-aanrecht"'),
    "link-https": html(f'href="{LINK}"', f'href="{LINK.replace("https", "http")}"'),
    "link-shortener": html(f'href="{LINK}"', 'href="https://bit.ly/x"'),
    "link-placeholder": html(f'href="{LINK}"', 'href="https://example.com/x"'),
    "link-text": html("Lees verder in “[^”]+”", "Klik hier"),
    "link-same-words": html("</blockquote>", f'<a href="{LINK}2">Schrijf je uit</a></blockquote>'),
    "link-count": html("</blockquote>", f'<a href="{LINK}">x</a>' * 12 + "</blockquote>"),
    "link-host": html(f'href="{LINK}"', 'href="https://elders.example/x"'),
    "link-tracking": html(f'href="{LINK}"', f'href="{LINK}?utm_source=brief"'),
    "link-visible-address": html("Lees verder in “[^”]+”", "https://bank.example/login"),
    "unsubscribe-link": html('href="WBMERGE-unsubscribe-url-WBEND"', f'href="{LINK}"'),
    "post-link": lambda good: replace(good, post_url=None),
    "image-alt": html("</blockquote>", IMAGE.replace(' alt="Zee"', "") + "</blockquote>"),
    "image-format": html("</blockquote>", IMAGE.replace("x.png", "x.svg") + "</blockquote>"),
    "image-size": html("</blockquote>", IMAGE.replace(' width="40"', "") + "</blockquote>"),
    "tracking-pixel": html("</blockquote>", IMAGE.replace("40", "1") + "</blockquote>"),
    "doctype": html("<!DOCTYPE html>", "<!doctype html>"),
    "forbidden-element": html("</blockquote>", "<form></form></blockquote>"),
    "headings": html("<h2", "<h4"),
    "question-first": html("<h1", "<p>Hallo Anna,</p><h1"),
    "language": html('dir="ltr" class="page"', 'class="page"'),
    "layout-tables": html('role="presentation" ', ""),
    "contrast-light": letter_of(colours=(("accent", "#e8d8cc", "#e2a785"),)),
    "contrast-dark": letter_of(colours=(("accent", "#8c472c", "#3a2a20"),)),
    "contrast-forced": letter_of(colours=(("page", "#fafafa", "#1d1a17"), ("soft", "#3355ee", "#b4a99b"))),
    "dark-colours": html(r'class="question ink"', 'class="question"'),
    "colour-notation": html("color:#2f2b26", "color:rgb(0 0 0 / 80%)"),
    "pure-colours": html("color:#2f2b26", "color:#000000"),
    "small-text": html(r"font-size:15px", "font-size:11px"),
    "important": html(r"color:#2f2b26;", "color:#2f2b26 !important;"),
    "style-size": html(r"(?=:root\{)", ".x{color:#111111 !important}" * 400),
    "client-support": html(r'style="padding:0', 'style="display:flex;padding:0'),
    "text-differs": text(r"(?s)Het aanrecht staat vol.*?kwalijk\.", "Iets anders."),
    "text-opening": text("^", "Hallo!\n\n"),
    "text-lines": text("\n\nRoept", "\n\n" + "woord " * 20 + "\n\nRoept"),
    "text-links": text(re.escape(LINK), ""),
    "text-invisible": text("Roept", "Ro\u200bept"),
    "text-blank-lines": text("\n\nRoept", "\n\n\n\nRoept"),
    "left-over": html("</blockquote>", "{{ naam }}</blockquote>"),
    "lost-characters": html("</blockquote>", "caf\ufffd</blockquote>"),
    "sample-text": letter_of(address="Voorbeeldstraat 1, Utrecht"),
    "postal-address": html("Kerkpad 12", ""),
    "length": lambda good: replace(good, example="Kort."),
    "spam-words": html("</blockquote>", "Laatste kans</blockquote>"),
    "shouting": html("</blockquote>", "KOMT ALLEN NAAR ONS</blockquote>"),
    "condenser": lambda good: replace(good, findings=("question: it asks two things",)),
}
ELSEWHERE = {
    "spamassassin",
    "spamassassin-spam",
    "link-dead",
    "link-not-followed",
    "message-bytes",
    "message-defects",
    "headers-once",
    "one-click",
    "list-id",
}
"""Tested by themselves below, or guards against faults of our own that no letter can provoke."""


def ids(one: Sample) -> set[str]:
    return {finding.id for finding in inspect(one)}


def test_there_are_many_checks_and_each_is_tested() -> None:
    known = {one.id for one in all_checks()}
    assert len(known) >= 40
    assert known == set(BROKEN) | ELSEWHERE
    assert all(one.mend for one in all_checks())


@pytest.mark.parametrize("design", designs())
def test_a_good_letter_has_no_findings(design: str) -> None:
    assert inspect(sample(in_language("nl", design))) == ()


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ELSEWHERE])
def test_each_check_finds_what_it_is_for(name: str) -> None:
    found = [finding for finding in inspect(BROKEN[name](sample())) if finding.id == name]
    assert found
    assert all(finding.message and finding.mend for finding in found)


def test_the_worst_comes_first_and_a_reason_is_shown() -> None:
    broken = BROKEN["link-https"](BROKEN["subject-shouts"](BROKEN["post-link"](sample())))
    found = inspect(broken, waived={"subject-shouts": "on purpose (Anna)"})
    assert [finding.severity for finding in found] == sorted(
        (finding.severity for finding in found), key=list(Severity).index
    )
    (loud,) = [finding for finding in found if finding.id == "subject-shouts"]
    assert loud.as_json()["waived"] == "on purpose (Anna)"


@pytest.mark.parametrize(
    ("score", "found"), [(0.4, set()), (1.2, {"spamassassin"}), (5.1, {"spamassassin-spam"})]
)
def test_what_spamassassin_says(monkeypatch: pytest.MonkeyPatch, score: float, found: set[str]) -> None:
    monkeypatch.setattr(
        spamassassin, "verdict", lambda _message: Verdict(score=score, rules=("HTML_IMAGE_ONLY_04",))
    )
    assert ids(sample()) == found


def test_spamassassin_itself_likes_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if not spamassassin.installed():
        pytest.skip("no SpamAssassin here: install it (Debian: spamassassin)")
    verdict = spamassassin.verdict(sample().raw)
    assert verdict is not None
    assert verdict.score < 1.0


def test_links_are_asked_for_only_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(url: str, *, internal: str) -> PageAnswer:
        asked.append(url)
        return PageAnswer(status=404)

    monkeypatch.setattr("pipeline.check.online.page_answer", answer)
    assert "link-dead" not in ids(sample())
    assert asked == []
    assert "link-dead" in ids(sample(online=True))
    assert LINK in asked
    assert len(asked) == len(set(asked)), "each page is asked once"
    assert not [url for url in asked if "/u/" in url], "a sample reader's link is nobody's"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (PageAnswer(status=200), {}),
        (PageAnswer(status=410), {"link-dead": f"{LINK} answers 410"}),
        (PageAnswer(said="gave no connection"), {"link-dead": f"{LINK} does not answer: gave no connection"}),
        (
            PageAnswer(said="redirects to http", refused=True),
            {
                "link-not-followed": f"{LINK} was not followed to its end, "
                "so it is not known whether the page is there: redirects to http"
            },
        ),
    ],
)
def test_a_link_is_called_dead_only_when_that_is_known(
    monkeypatch: pytest.MonkeyPatch, answer: PageAnswer, found: dict[str, str]
) -> None:
    known = {LINK: answer}
    monkeypatch.setattr(
        "pipeline.check.online.page_answer", lambda url, **_: known.get(url, PageAnswer(status=200))
    )
    findings = inspect(sample(online=True))
    assert {finding.id: finding.message for finding in findings} == found
    assert {finding.severity for finding in findings} <= {Severity.ERROR if answer.dead else Severity.WARNING}


@pytest.mark.standard("C-13")
def test_every_feature_that_some_program_lacks_has_a_written_reason() -> None:
    """No reason is left over either: the list is what the designs really use."""
    data = support._data()["features"]
    used = {slug for design in designs() for slug in support.used(sample(in_language("nl", design)).html)}
    lacking = {slug for slug in used if slug in data and data[slug]["lacking"]}
    assert lacking == set(support.HARMLESS)
    assert len(used & set(data)) > 40
    assert "MIT License" in support._data()["licence"]


@pytest.mark.standard("A-06")
@pytest.mark.parametrize("scheme", list(Scheme))
def test_colours_are_those_of_the_letter(scheme: Scheme) -> None:
    found = {pair.text: pair for pair in pairs(sample(), scheme)}
    question = found["Wat laat jij vandaag liggen?"]
    wanted = {
        Scheme.LIGHT: ("#2f2b26", "#faf7f1"),
        Scheme.DARK: ("#ebe4d8", "#1d1a17"),
    }
    if scheme in wanted:
        assert (question.ink, question.ground) == wanted[scheme]
    assert question.ratio > 7
