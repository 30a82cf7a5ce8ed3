"""The letter as rendered: the S, C, T, A, K, P and Z lines of the e-mail standards."""

from __future__ import annotations

import colorsys
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml.html import HtmlElement

from emails import inlining
from emails import render as module
from emails.edition import MERGE_FIELDS, UNSUBSCRIBE_URL, Logo
from emails.inlining import inline
from emails.merge import Merge, UnsafeMergeValue, cut, split
from emails.message import transfer_encoded
from emails.notices import confirm as render_confirm
from emails.render import BadLink, RenderError, designs, href, render
from emails.words import words
from pipeline.store.editions import mailing_from_json, mailing_to_json
from tests.letters import (
    CONFIRM,
    EVERY,
    EXAMPLE,
    NEWSLETTER,
    QUESTION,
    UNSUBSCRIBE,
    WHY,
    Finished,
    content,
    finished,
    in_language,
    letter,
    mailing,
)

HOSTILE = (
    "</style><script>alert(1)</script> & \"quotes\" 'too' {{ 7*7 }} {% raw %} {# no #} "
    "<!--[if mso]> %(x)s *|NAME|*"
)
FORBIDDEN = frozenset(
    re.findall(
        r"\w+",
        "script form input button iframe object embed video audio svg base link img "
        "main nav section article header footer details",
    )
)
ALLOWED = re.compile(
    r"background-color|border(-.+)?|color|display|font(-.+)?|height|letter-spacing|line-height|margin(-.+)?|max-width|"
    r"mso-.+|padding(-.+)?|text-align|text-decoration|vertical-align|width|word-break|overflow-wrap|direction|"
    # asked for by R-03, P-02 and K-01
    r"-webkit-text-size-adjust|max-height|overflow|color-scheme|supported-color-schemes"
)


def every(test: Any) -> Any:
    return pytest.mark.parametrize(("kind", "language", "design"), EVERY)(test)


def styles(html: str) -> str:
    """The one style block that is left, without comments around it."""
    bare = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    (block,) = re.findall(r"<style>(.*?)</style>", bare, flags=re.DOTALL)
    return block


def rules(css: str) -> list[tuple[str, str]]:
    """Selector and declarations of each rule, those inside media queries too."""
    return [(selector.strip(), body) for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css)]


def inline_styles(tree: HtmlElement) -> list[tuple[HtmlElement, dict[str, str]]]:
    return [
        (
            element,
            dict(part.strip().split(":", 1) for part in element.get("style").split(";") if part.strip()),
        )
        for element in tree.iter()
        if isinstance(element.tag, str) and element.get("style")
    ]


def visible_text(tree: HtmlElement) -> str:
    body = tree.find("body")
    skipped = {"style", "script", "title"}
    out = []
    for element in body.iter():
        if (
            isinstance(element.tag, str)
            and element.tag not in skipped
            and "preheader" not in (element.get("class") or "")
        ):
            out.append(element.text or "")
        out.append(element.tail or "")
    return " ".join(" ".join(out).split())


# Skeleton


@pytest.mark.standard("S-01")
@pytest.mark.standard("S-02")
@every
def test_head(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    assert made.html.startswith("<!DOCTYPE html>\n<html ")
    assert b'<meta charset="utf-8">' in made.html.encode()[:1024]
    metas = {meta.get("name"): meta.get("content") for meta in made.tree.iter("meta") if meta.get("name")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert "x-apple-disable-message-reformatting" in metas
    assert set(metas["format-detection"].split(", ")) == {
        f"{x}=no" for x in ("telephone", "date", "address", "email", "url")
    }
    assert made.tree.findtext("head/title") == made.subject


@pytest.mark.standard("S-03")
@pytest.mark.standard("S-06")
@every
def test_no_forbidden_element(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    tags = {element.tag for element in made.tree.iter() if isinstance(element.tag, str)}
    assert not tags & FORBIDDEN
    attributes = {name for element in made.tree.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"javascript:|@import|@font-face|url\(", made.html, re.IGNORECASE)


@pytest.mark.standard("S-05")
@pytest.mark.standard("A-04")
@pytest.mark.standard("O-02")
@every
def test_layout_tables(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    for opening in re.findall(r"<table[^>]*>", made.html):
        for wanted in ('role="presentation"', 'border="0"', 'cellpadding="0"', 'cellspacing="0"'):
            assert wanted in opening
    assert made.html.count("<table") == made.html.count("</table>")
    assert max(len(list(table.iterancestors("table"))) for table in made.tree.iter("table")) + 2 <= 4


@pytest.mark.standard("S-07")
@every
def test_the_ground_is_repeated_inside_body(kind: str, language: str, design: str) -> None:
    body = finished(kind, language, design).tree.find("body")
    ground = re.search(r"background-color:(#[0-9a-f]{6})", body.get("style"))
    assert ground
    assert ground.group(0) in body[0].get("style")


@pytest.mark.standard("S-08")
@every
def test_no_template_syntax_or_placeholder_is_left(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    for body in (made.html, made.text, made.subject):
        assert not re.search(r"\{\{|\{%|\{#|%7B%7B|%\(|WBMERGE|\bNone\b|Undefined", body)


@pytest.mark.standard("S-08")
@pytest.mark.parametrize("design", designs())
def test_hostile_words_come_out_as_typed(design: str) -> None:
    rogue = replace(
        in_language("nl", design),
        name=f"Naam {HOSTILE}"[:60],
        address=f"Straat 1 {HOSTILE}",
        sign_off=f"Dag {HOSTILE}",
    )
    values = replace(
        content(question=f"Wat? {HOSTILE}", example=f"Eén {HOSTILE}", newsletter=rogue, title=HOSTILE),
        subject=HOSTILE,
        preheader=f"Voor {HOSTILE}",
        lead=f"Aanloop {HOSTILE}",
    )
    made = render(values)
    seen = visible_text(finished_tree(made.html))
    for said in (
        f"Wat? {HOSTILE}",
        f"Eén {HOSTILE}",
        f"Aanloop {HOSTILE}",
        f"“{HOSTILE}”",
        f"Straat 1 {HOSTILE}",
        f"Dag {HOSTILE}",
    ):
        assert said in seen
        assert said in " ".join(made.text.split())
    tree = finished_tree(made.html)
    assert tree.findtext("head/title") == HOSTILE
    assert tree.find("body")[0].get("aria-label") == HOSTILE
    assert not list(tree.iter("script"))


@pytest.mark.standard("S-08")
@settings(max_examples=200, deadline=None)
@given(
    st.text(
        st.sampled_from("<>&\"'{}%# abcé\u00a0👍🏽لאc\u0327") | st.characters(codec="utf-8"),
        min_size=1,
        max_size=120,
    )
    .map(lambda text: " ".join(re.sub("[\x00-\x1f\x7f-\x9f]", "", text).split()))
    .filter(bool)
)
def test_any_question_comes_out_as_typed(question: str) -> None:
    made = render(replace(content(), question=question))
    (heading,) = finished_tree(made.html).iter("h1")
    assert heading.text_content() == question


def test_text_that_holds_a_merge_field_is_refused() -> None:
    with pytest.raises(RenderError, match="reword"):
        render(content(question=f"Wat betekent {UNSUBSCRIBE_URL} voor jou?"))


@pytest.mark.standard("S-09")
@pytest.mark.parametrize(
    ("typed", "linked"),
    [
        ("https://stil.example/a b/é?q=ü&r=1#deel", "https://stil.example/a%20b/%C3%A9?q=%C3%BC&r=1#deel"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://stil.example/al%20goed%C3%A9", "https://stil.example/al%20goed%C3%A9"),
        ("https://stil.example:8443/x", "https://stil.example:8443/x"),
        ("http://127.0.0.1:8025/x", "http://127.0.0.1:8025/x"),
        ("http://[::1]:8025/x", "http://[::1]:8025/x"),
        ('https://stil.example/"><script>', "https://stil.example/%22%3E%3Cscript%3E"),
    ],
)
def test_addresses_are_made_fit_for_a_letter(typed: str, linked: str) -> None:
    assert href(typed) == linked
    assert href(linked) == linked


@pytest.mark.standard("S-09")
@pytest.mark.parametrize(
    "bad",
    [
        "/alleen/een/pad",
        "javascript:alert(1)",
        "http://stil.example/",
        "https://",
        "https://u:p@stil.example/",
        "ftp://a.example/",
        "https://[kapot/",
    ],
)
def test_other_addresses_are_refused_with_the_mend(bad: str) -> None:
    with pytest.raises(BadLink, match=re.escape(repr(bad))):
        href(bad)


@pytest.mark.standard("S-09")
@pytest.mark.standard("Z-03")
@every
def test_links(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    links = [a.get("href") for a in made.tree.iter("a")]
    assert 2 <= len(links) <= 12
    hosts = {"brief.stillewateren.example", "www.stillewateren.example"}
    for link in links:
        assert link.startswith("mailto:") or (link.startswith("https://") and link.split("/")[2] in hosts)
        assert link.isascii()


@pytest.mark.standard("U-13")
@pytest.mark.parametrize("design", designs())
def test_the_body_says_how_to_leave(design: str) -> None:
    made = finished("weekly", "nl", design)
    (leave,) = [a for a in made.tree.iter("a") if a.get("href") == UNSUBSCRIBE]
    assert leave.text_content() == words("nl").say("footer.unsubscribe")
    assert f"{words('nl').say('footer.unsubscribe')}:\n{UNSUBSCRIBE}\n" in made.text


@pytest.mark.standard("G-06")
@every
def test_the_foot_says_who_and_why(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    why = WHY[kind]
    for body in (visible_text(made.tree), " ".join(made.text.split())):
        for said in (
            "Marijke van Dam",
            "Kerkpad 12, 8701 GH Bolsward",
            "marijke@stillewateren.example",
            words(language).say(why, newsletter="Stille wateren"),
            words(language).say("footer.no_tracking"),
        ):
            assert " ".join(said.split()) in body
    assert "https://brief.stillewateren.example/privacy" in made.text


# CSS and premailer


@pytest.mark.standard("C-02")
def test_premailer_runs_once_for_a_thousand_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Counted(inlining.Premailer):  # type: ignore[misc]  # premailer has no types
        def transform(self, *args: object, **options: object) -> object:
            calls.append(1)
            return super().transform(*args, **options)

    monkeypatch.setattr(inlining, "Premailer", Counted)
    rendered = render(content())
    bodies = {split(rendered).html.fill({"unsubscribe": f"{UNSUBSCRIBE}{number}"}) for number in range(1000)}
    assert len(bodies) == 1000
    assert len(calls) == 1


@pytest.mark.standard("C-02")
def test_merge_fields_survive_premailer() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", field) for field in MERGE_FIELDS)
    rendered = letter()
    assert rendered.html.count(f'href="{UNSUBSCRIBE_URL}"') == 1
    assert rendered.html.count(f'href="{UNSUBSCRIBE_URL}/preferences"') == 1
    assert rendered.text.split().count(UNSUBSCRIBE_URL) == 1
    assert rendered.text.split().count(f"{UNSUBSCRIBE_URL}/preferences") == 1


@pytest.mark.standard("C-03")
@pytest.mark.standard("C-05")
@every
def test_the_rules_that_cannot_be_inlined_survive(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    css = styles(made.html)
    assert "@media (prefers-color-scheme:dark){" in css
    assert "@media (max-width:480px){" in css
    for selector in ("[data-ogsb] .page", "[data-ogsc] .ink", "a[x-apple-data-detectors]", ":root"):
        assert selector in css
    for selector, body in rules(re.sub(r"@media [^{]+\{", "", css)):
        if selector != ":root":
            for declaration in filter(None, body.split(";")):
                assert declaration.endswith(" !important"), f"{selector}: {declaration}"
    assert not [style for _, style in inline_styles(made.tree) if "!important" in str(style)]


@pytest.mark.standard("C-03")
@pytest.mark.standard("C-12")
@pytest.mark.parametrize("design", designs())
def test_the_inlined_sheets_are_simple(design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "inline", lambda html: html)
    html = re.sub(r"<!--.*?-->", "", render(content(newsletter=in_language("nl", design))).html)
    (sheet,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert len(rules(sheet)) > 20
    for selector, body in rules(sheet):
        assert re.fullmatch(r"\.?[a-z0-9]+", selector), selector
        properties = [part.split(":")[0] for part in body.split(";")]
        assert len(properties) == len(set(properties))
        assert "!important" not in body


@pytest.mark.standard("C-04")
def test_premailer_gets_the_options_that_keep_a_letter_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Watched(inlining.Premailer):  # type: ignore[misc]  # premailer has no types
        def __init__(self, html: str, **options: Any) -> None:
            seen.update(options)
            super().__init__(html, **options)

        def transform(self, **options: Any) -> object:
            seen.update(options)
            return super().transform(**options)

    monkeypatch.setattr(inlining, "Premailer", Watched)
    render(content())
    assert seen == {
        "strip_important": False,
        "allow_network": False,
        "allow_loading_external_files": False,
        "disable_validation": True,
        "pretty_print": False,
        "keep_style_tags": False,
        "remove_classes": False,
        "disable_basic_attributes": ["width", "height", "align", "valign", "bgcolor"],
    }
    assert inlining.cssutils.ser.prefs.minimizeColorHash is False


@pytest.mark.standard("C-06")
@every
def test_no_presentational_attribute_is_invented(kind: str, language: str, design: str) -> None:
    for element in finished(kind, language, design).tree.iter(
        "p", "div", "h1", "h2", "a", "span", "blockquote", "body"
    ):
        assert not {"bgcolor", "align", "width", "height", "valign"} & set(element.attrib)


@pytest.mark.standard("C-06")
def test_an_image_keeps_its_width() -> None:
    html = (
        "<!DOCTYPE html>\n<html><head><style>img{width:100%;height:auto}</style></head>"
        '<body><img src="https://a.example/x.png" width="300" height="60" alt=""></body></html>'
    )
    made = inline(html)
    assert 'width="300"' in made
    assert 'height="60"' in made


@pytest.mark.standard("C-07")
@pytest.mark.standard("K-05")
@every
def test_colours_are_six_digit_hex_and_never_pure(kind: str, language: str, design: str) -> None:
    html = finished(kind, language, design).html
    colours = re.findall(r"(?<![&\w])#[0-9a-zA-Z]+", re.sub(r">[^<]*<(?!/style)", "><", html))
    assert colours
    assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours)
    assert not {"#ffffff", "#000000"} & set(colours)
    assert not re.search(r"rgba?\(|hsla?\(|light-dark\(|color-mix\(|var\(", html)


@pytest.mark.standard("C-08")
@pytest.mark.standard("Z-02")
@every
def test_only_conditional_comments_and_no_waste(kind: str, language: str, design: str) -> None:
    html = finished(kind, language, design).html
    comments = re.findall(r"<!--.*?-->", html, flags=re.DOTALL)
    assert comments
    assert all(re.fullmatch(r"<!--\[if mso\]>.*<!\[endif\]-->", comment, re.DOTALL) for comment in comments)
    assert "<![if" not in html
    assert "<!--[if mso]></td></tr></table><![endif]-->" in html
    assert "\n\n\n" not in html
    assert not re.search(r"^ {3,}", html, re.MULTILINE)


@pytest.mark.standard("C-09")
@pytest.mark.standard("M-08")
def test_rendering_is_pure_from_eight_threads(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = {design: render(content(newsletter=in_language("nl", design))) for design in designs()}
    capfd.readouterr()

    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("rendering opened a socket")

    monkeypatch.setattr(socket, "socket", no_socket)
    with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(8) as pool:
        jobs = [design for _ in range(12) for design in designs()]
        made = pool.map(lambda design: (design, render(content(newsletter=in_language("nl", design)))), jobs)
        assert all(rendered == wanted[design] for design, rendered in made)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.standard("C-09")
def test_inlining_loads_nothing_from_elsewhere() -> None:
    html = (
        "<!DOCTYPE html>\n<html><head><link rel=stylesheet href='https://elders.example/x.css'>"
        "<style>p{color:#111111}</style></head><body><p>a</p></body></html>"
    )
    assert '<p style="color:#111111">' in inline(html)


@pytest.mark.standard("C-10")
@every
def test_only_allowed_properties(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    used = {name.strip(): value for _, style in inline_styles(made.tree) for name, value in style.items()}
    for _, body in rules(re.sub(r"@media [^{]+\{", "", styles(made.html))):
        used |= {part.split(":", 1)[0].strip(): part.split(":", 1)[1] for part in body.split(";") if part}
    assert not [name for name in used if not ALLOWED.fullmatch(name)]
    assert used["display"] == "none"
    assert not re.search(r"margin[^;]*:[^;]*-\d|calc\(|@supports", made.html)


@pytest.mark.standard("C-11")
@every
def test_the_style_block_is_small_and_flat(kind: str, language: str, design: str) -> None:
    css = styles(finished(kind, language, design).html)
    assert len(css.encode()) < 8 * 1024
    assert not re.search(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*@", css)


@pytest.mark.standard("O-03")
@every
def test_padding_on_cells_and_margins_on_paragraphs(kind: str, language: str, design: str) -> None:
    for element, style in inline_styles(finished(kind, language, design).tree):
        if any(name.strip().startswith("padding") for name in style) and element.tag != "body":
            assert element.tag == "td"
        if any(name.strip().startswith("margin") for name in style):
            assert element.tag in {"p", "h1", "h2", "blockquote", "body"}


# Text part


@pytest.mark.standard("T-01")
@every
def test_the_text_says_what_the_html_says(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    said = set(re.findall(r"\w{4,}", visible_text(made.tree).lower()))
    written = set(re.findall(r"\w{4,}", made.text.lower()))
    assert len(said & written) >= 0.8 * len(said)


@pytest.mark.standard("T-01")
@pytest.mark.parametrize("design", designs())
def test_both_parts_keep_one_order(design: str) -> None:
    made = finished("weekly", "nl", design)
    tongue = words("nl")
    marks = [
        QUESTION,
        "29 november 2026",
        tongue.say("letter.lead"),
        tongue.say("letter.example").lower(),
        EXAMPLE[:40],
        "Het aanrecht mag blijven staan",
        tongue.say("letter.reply"),
        tongue.say("letter.sign_off"),
        tongue.say("footer.why_subscribed", newsletter="Stille wateren"),
        tongue.say("footer.unsubscribe"),
        tongue.say("footer.privacy"),
        "Kerkpad 12",
    ]
    for body in (visible_text(made.tree), " ".join(made.text.split())):
        places = [body.lower().index(mark.lower()) for mark in marks]
        assert places == sorted(places)


@pytest.mark.standard("T-02")
@every
def test_the_text_is_text(kind: str, language: str, design: str) -> None:
    text = finished(kind, language, design).text
    assert not re.search(r"<[a-z/]|&[a-z#0-9]+;|\]\(|\{\{|\{%|\bNone\b", text)
    assert not re.search("[\u034f\u200b\u200c\ufeff\u00ad]", text)


@pytest.mark.standard("T-02")
def test_invisible_characters_of_a_post_do_not_reach_the_text() -> None:
    made = render(content(question="Wat laat\u00ad jij\u200b lig\ufeffgen?"))
    assert made.text.startswith("Wat laat jij liggen?\n")


@pytest.mark.standard("T-03")
@pytest.mark.standard("T-04")
@every
def test_lines_and_addresses(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    lines = made.text.splitlines()
    for number, line in enumerate(lines):
        if "https://" in line:
            assert re.fullmatch(r"https://[!-~]+", line)
            assert lines[number - 1].endswith(":")
        else:
            assert len(line) <= 72
    for link in (a.get("href") for a in made.tree.iter("a")):
        assert link.removeprefix("mailto:") in lines


@pytest.mark.standard("T-03")
def test_words_are_never_split() -> None:
    long = "Onder-water-lijnen " + "meervoudigepersoonlijkheidsstoornissen" * 3
    made = render(content(example=f"{long} en dan gewoon verder."))
    assert long.split()[1] in made.text.splitlines()
    assert "Onder-water-lijnen" in made.text


@pytest.mark.standard("T-05")
@every
def test_sections_stand_apart(kind: str, language: str, design: str) -> None:
    text = finished(kind, language, design).text
    assert "\n\n\n" not in text
    assert not text.startswith("\n")
    assert text.endswith("\n")
    if kind == "weekly":
        assert f"\n\n{words(language).say('letter.example').upper()}\n\n" in text


@pytest.mark.standard("T-06")
@every
def test_the_foot_can_be_folded_away(kind: str, language: str, design: str) -> None:
    assert finished(kind, language, design).text.splitlines().count("-- ") == 1


@pytest.mark.standard("T-08")
@pytest.mark.parametrize("design", designs())
def test_the_text_opens_with_the_question(design: str) -> None:
    assert finished("weekly", "nl", design).text.startswith(QUESTION + "\n")


# Reading


@pytest.mark.standard("A-02")
@every
def test_language_and_direction_stand_twice(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    body = made.tree.find("body")
    wrapper = body[0]
    assert wrapper.tag == "div"
    for element in (made.tree, wrapper):
        assert (element.get("lang"), element.get("dir")) == (language, "ltr")
    assert re.search(rf'<body [^>]*xml:lang="{language}"', made.html)
    assert wrapper.get("role") == "article"
    assert wrapper.get("aria-roledescription") == "email"
    assert wrapper.get("aria-label") == made.subject


@pytest.mark.standard("A-03")
@pytest.mark.standard("A-09")
@every
def test_headings_and_what_is_read_first(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    headings = [(h.tag, h.text_content().strip()) for h in made.tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    wanted = ["h1", "h2"] if kind == "weekly" else ["h1"]
    assert [tag for tag, _ in headings] == wanted
    assert all(text for _, text in headings)
    assert visible_text(made.tree).startswith(" ".join(headings[0][1].split()))
    if kind == "weekly":
        assert headings[0][1] == QUESTION


@pytest.mark.standard("A-05")
@pytest.mark.standard("A-12")
@pytest.mark.standard("I-03")
@pytest.mark.standard("K-06")
@pytest.mark.standard("V-01")
@every
def test_there_is_no_image_and_nothing_moves(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    assert not list(made.tree.iter("img"))
    assert not re.search(r"animation|transition|@keyframes|<marquee|<blink", made.html)


@pytest.mark.standard("A-07")
@every
def test_links_say_where_they_go(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    empty = {
        "klik hier",
        "hier",
        "lees meer",
        "here",
        "click here",
        "read more",
        "mehr",
        "hier klicken",
        "ici",
        "cliquez ici",
        "aquí",
        "leer más",
    }
    by_text: dict[str, set[str]] = {}
    for a in made.tree.iter("a"):
        text = a.text_content().strip()
        assert text and text.lower() not in empty
        assert "text-decoration:underline" in a.get("style")
        by_text.setdefault(text, set()).add(a.get("href"))
    assert all(len(targets) == 1 for targets in by_text.values())


@pytest.mark.standard("A-08")
@every
def test_nothing_that_hinders_a_reader(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    for element in made.tree.iter():
        assert not {"tabindex", "title", "aria-hidden"} & set(element.attrib)
        assert element.get("role") != "button"
    sizes = [
        int(style[name].strip()[:-2])
        for element, style in inline_styles(made.tree)
        for name in style
        if name.strip() == "font-size" and element.text_content().strip()
    ]
    assert min(sizes) >= 13
    assert "justify" not in made.html
    assert not re.search(r"\b[A-Z]{4,}(?: [A-Z]{2,}){2,}", visible_text(made.tree))


@pytest.mark.standard("A-10")
@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_a_post_in_another_language_says_so(language: str, direction: str) -> None:
    tree = finished_tree(render(content(language=language)).html)
    for element in [*tree.iter("h1"), *tree.iter("blockquote")]:
        assert (element.get("lang"), element.get("dir")) == (language, direction)
        assert ("text-align:right" in (element.get("style") or "")) == (direction == "rtl")
    assert "lang" not in finished_tree(render(content()).html).find(".//h1").attrib


@pytest.mark.standard("A-11")
def test_the_example_is_a_quotation_in_its_own_paragraphs() -> None:
    tree = finished_tree(render(content(example="Eén.\nNog een regel.\n\nTwee.")).html)
    paragraphs = list(tree.find(".//blockquote").iter("p"))
    assert [p.text_content() for p in paragraphs] == ["Eén.Nog een regel.", "Twee."]
    assert len(list(paragraphs[0].iter("br"))) == 1


# Dark mode


@pytest.mark.standard("K-01")
@every
def test_both_schemes_are_declared(kind: str, language: str, design: str) -> None:
    html = finished(kind, language, design).html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert '<meta name="supported-color-schemes" content="light dark">' in html
    assert ":root{color-scheme:light dark;supported-color-schemes:light dark}" in html


@pytest.mark.standard("K-02")
@pytest.mark.standard("K-03")
@every
def test_every_inline_colour_has_a_dark_one(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    css = styles(made.html)
    dark = re.search(r"@media \(prefers-color-scheme:dark\)\{\n(.*?)\n\}\n", css, re.DOTALL)
    assert dark
    media = {(selector, body.split(":")[0]): body for selector, body in rules(dark.group(1))}
    outlook = {
        (selector, body.split(":")[0]): body
        for selector, body in rules(css)
        if selector.startswith("[data-ogs")
    }
    for element, style in inline_styles(made.tree):
        for name in (name.strip() for name in style):
            if name in {"color", "background-color", "border-color"}:
                classes = [c for c in (element.get("class") or "").split() if (f".{c}", name) in media]
                assert len(classes) == 1, (element.tag, name)
                attribute = "[data-ogsb]" if name == "background-color" else "[data-ogsc]"
                assert outlook[f"{attribute} .{classes[0]}", name] == media[f".{classes[0]}", name]


@pytest.mark.standard("K-05")
@every
def test_no_colour_is_half_set(kind: str, language: str, design: str) -> None:
    for element, style in inline_styles(finished(kind, language, design).tree):
        if any(name.strip() == "color" for name in style):
            assert any(
                "background-color" in (parent.get("style") or "") for parent in element.iterancestors()
            )


@pytest.mark.standard("K-04")
@pytest.mark.standard("A-06")
@every
def test_contrast_in_light_dark_and_forced_inversion(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    css, checked = styles(made.html), 0
    for element in made.tree.find("body").iter("h1", "h2", "p", "li", "a", "span", "strong"):
        light = {name: shown(element, name) for name in ("color", "background-color")}
        if not (element.text or "").strip() or not all(light.values()):
            continue
        dark = {name: shown(element, name, css) for name in light}
        least = 7.0 if {"ink", "over"} & set((element.get("class") or "").split()) else 4.5
        for pair in (light, dark):
            assert contrast(pair["color"], pair["background-color"]) >= least, (element.attrib, pair)
        assert contrast(inverted(light["color"]), inverted(light["background-color"])) >= 4.5, light
        checked += 1
    assert checked > 5


def shown(element: HtmlElement, name: str, css: str = "") -> str:
    """The colour an element has or inherits; with `css`, the one that its dark rules give."""
    for at in (element, *element.iterancestors()):
        own = re.search(rf"(?:^|; ){name}:(#[0-9a-f]{{6}})", at.get("style") or "")
        if own and css:
            dark = [
                re.search(rf"\n\.{role}\{{{name}:(#[0-9a-f]{{6}})", css)
                for role in (at.get("class") or "").split()
            ]
            return next(rule.group(1) for rule in dark if rule)
        if own:
            return own.group(1)
    return ""


# Preheader


@pytest.mark.standard("P-01")
@every
def test_the_preheader_is_a_sentence_of_its_own(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    assert 85 <= len(made.preheader) <= 140, made.preheader
    assert made.subject.lower() not in made.preheader.lower()


@pytest.mark.standard("P-02")
@pytest.mark.standard("P-03")
@pytest.mark.standard("P-04")
@pytest.mark.standard("P-05")
@every
def test_the_preheader_comes_first_hidden_and_once(kind: str, language: str, design: str) -> None:
    made = finished(kind, language, design)
    first = next(element for element in made.tree.find("body").iter() if (element.text or "").strip())
    assert first.text == made.preheader
    for hidden in ("display:none", "max-height:0", "overflow:hidden", "mso-hide:all"):
        assert hidden in first.get("style")
    assert made.preheader in made.html, "written as characters, not as entities"
    assert " ".join(made.preheader.split()) not in " ".join(made.text.split())
    assert not re.search("[\u2007\u034f\u200c\ufeff]", made.html)
    (heading,) = made.tree.iter("h1")
    assert visible_text(made.tree).startswith(" ".join(heading.text_content().split()))


# Size


@pytest.mark.standard("Z-01")
@every
def test_the_html_is_small(kind: str, language: str, design: str) -> None:
    assert len(transfer_encoded(finished(kind, language, design).html)[1]) < 30 * 1024


@pytest.mark.standard("Z-01")
def test_the_longest_letter_is_small() -> None:
    long = "\n\n".join(["Het is een lange alinea over koffie, één kop, en thee. " * 12] * 4)
    made = render(content(question="Wat " * 60 + "dan?", example=long))
    assert len(transfer_encoded(made.html)[1]) < 30 * 1024


# The rest


@pytest.mark.standard("G-03")
@pytest.mark.standard("H-16")
def test_a_confirm_letter_asks_and_promotes_nothing() -> None:
    made = render_confirm(in_language("nl"), "nl", CONFIRM)
    tongue = words("nl")
    plain = " ".join(made.text.split())
    for said in ("confirm.every_week", "confirm.yes", "confirm.no"):
        assert tongue.say(said) in plain
    assert made.text.count(CONFIRM) == 1
    assert made.html.count(CONFIRM) == 1
    assert UNSUBSCRIBE_URL not in made.html + made.text
    assert made.subject == "Bevestig je aanmelding voor Stille wateren"


@pytest.mark.parametrize(("every_", "said"), [("2 weeks", "elke twee weken"), ("month", "elke maand")])
def test_a_confirm_letter_says_how_often(every_: str, said: str) -> None:
    assert said in " ".join(render_confirm(replace(NEWSLETTER, every=every_), "nl", CONFIRM).text.split())
    with pytest.raises(RenderError, match=r"newsletter\.every"):
        render_confirm(replace(NEWSLETTER, every="fortnight"), "nl", CONFIRM)


@pytest.mark.standard("H-15")
def test_a_long_name_makes_the_confirm_subject_shorter() -> None:
    assert (
        render_confirm(replace(NEWSLETTER, name="N" * 60), "nl", CONFIRM).subject == "Bevestig je aanmelding"
    )


def test_a_confirm_link_that_would_need_escaping_is_refused() -> None:
    with pytest.raises(UnsafeMergeValue):
        render_confirm(NEWSLETTER, "nl", 'https://brief.example/c/"><b>')


def test_an_unknown_design_names_those_there_are() -> None:
    with pytest.raises(RenderError, match=r"'bright' is not a design; choose one of card, plain, quiet"):
        render(content(newsletter=in_language("nl", "bright")))
    with pytest.raises(RenderError, match="choose one of"):
        render_confirm(in_language("nl", "../pages"), "nl", CONFIRM)


def test_a_post_without_an_address_gets_no_link() -> None:
    made = render(content(url=None))
    assert "Lees verder" not in made.html + made.text
    assert UNSUBSCRIBE_URL in made.html


def test_the_editor_s_own_sign_off() -> None:
    assert "Tot een volgende keer,\nMarijke\n" in letter().text
    assert "Hartelijke groet,\nMarijke van Dam\n" in letter(newsletter=in_language("nl")).text


def test_a_newsletter_that_is_its_own_sender_is_named_once() -> None:
    same = replace(NEWSLETTER, sender=replace(NEWSLETTER.sender, name=NEWSLETTER.name))
    assert "\nStille wateren\nKerkpad 12" in letter(newsletter=same).text


@pytest.mark.standard("Z-02")
def test_a_letter_survives_being_stored() -> None:
    rendered = letter()
    assert type(rendered).from_json(rendered.to_json()) == rendered


def test_a_newsletter_s_own_look_survives_being_stored() -> None:
    own = replace(
        NEWSLETTER,
        colours=(("page", "#f4f1fa", "#17151c"),),
        fonts=(("text", "Verdana,sans-serif"),),
        logo=Logo(url="https://www.stillewateren.example/merk.png", width=120, height=40),
    )
    sent = mailing(letter(newsletter=own), own)
    assert mailing_from_json(mailing_to_json(sent)) == sent


@pytest.mark.standard("I-02")
@pytest.mark.standard("A-05")
@pytest.mark.parametrize("design", designs())
def test_a_logo_stands_at_the_foot_with_its_size_and_name(design: str) -> None:
    own = replace(
        in_language("nl", design), logo=Logo(url="https://a.example/merk.png", width=120, height=40)
    )
    tree = finished_tree(letter(newsletter=own).html)
    (image,) = tree.iter("img")
    assert (image.get("width"), image.get("height"), image.get("alt")) == ("120", "40", "Stille wateren")
    assert "display:block" in image.get("style")
    assert tree.xpath("//h1/following::img") == [image]


# Merging


def test_merging_puts_each_value_in_its_place() -> None:
    merge = cut(f"a {UNSUBSCRIBE_URL} b {UNSUBSCRIBE_URL}")
    assert merge.pieces == ("a ", " b ", "")
    assert merge.fill({"unsubscribe": UNSUBSCRIBE}) == f"a {UNSUBSCRIBE} b {UNSUBSCRIBE}"
    assert Merge(("alleen",), ()).fill({}) == "alleen"


def test_pieces_can_be_escaped_once() -> None:
    merge = cut(f'zeg "{UNSUBSCRIBE_URL}"').mapped(lambda piece: piece.replace('"', '\\"'))
    assert merge.fill({"unsubscribe": UNSUBSCRIBE}) == f'zeg \\"{UNSUBSCRIBE}\\"'


@pytest.mark.parametrize(
    "bad",
    [
        'https://a.example/"',
        "https://a.example/<",
        "https://a.example/?a=1&b=2",
        "https://a.example/é",
        "https://a.example/a b",
        "javascript:alert(1)",
        "",
        "https://a.example/\n",
        "https://a.example/'",
        "https://a.example/\\",
        "//a.example/",
        "https:///x",
    ],
)
def test_a_value_that_would_need_escaping_is_refused(bad: str) -> None:
    with pytest.raises(UnsafeMergeValue):
        cut(UNSUBSCRIBE_URL).fill({"unsubscribe": bad})


def test_a_missing_value_is_named() -> None:
    for text in (UNSUBSCRIBE_URL, UNSUBSCRIBE_URL * 2):
        with pytest.raises(UnsafeMergeValue, match="unsubscribe"):
            cut(text).fill({})


def finished_tree(html: str) -> HtmlElement:
    return Finished(kind="", newsletter=NEWSLETTER, subject="", html=html, text="", preheader="").tree


def channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""

    def luminance(colour: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def inverted(colour: str) -> str:
    """The colour with its lightness turned round, as mail programs that force dark mode do."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*channels(colour))
    return "#" + "".join(f"{round(c * 255):02x}" for c in colorsys.hls_to_rgb(hue, 1 - lightness, saturation))
